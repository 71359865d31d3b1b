package redis

import goredis "github.com/redis/go-redis/v9"

// Each script is one atomic step, and Redis counts what it calls: they call little. They read
// with pcall where a name may hold what somebody else put there: a list in the place of a
// lease is no lease, not an error.

// stateLua defines state(name): the newest generation seen and the epoch of the last purge;
// 0 and nothing when there is none, or it is not ours.
const stateLua = `
local function state(name)
  local s = redis.pcall('GET', name)
  if type(s) ~= 'string' then return 0, '' end
  local generation, epoch = string.match(s, '^(%d+) (%x*)$')
  if not generation or #generation > 16 or tonumber(generation) > 4503599627370496 then return 0, '' end
  return tonumber(generation), epoch
end
local function text(n) return string.format('%.0f', n) end
`

var (
	// KEYS token, state; ARGV value, ttl, state's ttl, channel.
	setScript = goredis.NewScript(stateLua + `
local generation, epoch = state(KEYS[2])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[2], text(generation + 1) .. ' ' .. epoch, 'PX', ARGV[3])
redis.call('PUBLISH', ARGV[4], 'set')
return 1
`)

	// KEYS token, state; ARGV new epoch, state's ttl, channel. The lease stays: its holder is
	// still at it, and lets go when he finds that his value is not wanted.
	deleteScript = goredis.NewScript(stateLua + `
local generation = state(KEYS[2])
redis.call('SET', KEYS[2], text(generation) .. ' ' .. ARGV[1], 'PX', ARGV[2])
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[3], 'deleted')
return 1
`)

	// KEYS lease, state; ARGV owner, ttl. Replies the generation and epoch, or the time that
	// the present lease has left. Asked twice, because the first answer got lost, it finds
	// its own name there. A lease without an end is not ours and counts for nothing.
	leaseScript = goredis.NewScript(stateLua + `
local holder = redis.pcall('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  local left = redis.call('PTTL', KEYS[1])
  if left >= 0 then return left end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local generation, epoch = state(KEYS[2])
return {text(generation), epoch}
`)

	// KEYS lease; ARGV owner, ttl. Replies 1 if the lease is still ours.
	renewScript = goredis.NewScript(`
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`)

	// KEYS lease; ARGV owner, channel.
	releaseScript = goredis.NewScript(`
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[2], 'released')
return 1
`)

	// KEYS token, state, lease; ARGV owner, epoch, generation, value, ttl, state's ttl,
	// channel. Replies 1 published, 0 somebody was faster, -1 purged. Asked twice, because
	// the first answer got lost, it finds its own value there.
	publishScript = goredis.NewScript(stateLua + `
local generation, epoch = state(KEYS[2])
local verdict = 1
if epoch ~= '' and epoch ~= ARGV[2] then
  verdict = -1
elseif generation >= tonumber(ARGV[3]) then
  if redis.pcall('GET', KEYS[1]) ~= ARGV[4] then verdict = 0 end
else
  redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5])
  redis.call('SET', KEYS[2], ARGV[3] .. ' ' .. epoch, 'PX', ARGV[6])
end
local ours = redis.pcall('GET', KEYS[3]) == ARGV[1]
if ours then redis.call('DEL', KEYS[3]) end
if ours or verdict == 1 then redis.call('PUBLISH', ARGV[7], 'published') end
return verdict
`)
)
