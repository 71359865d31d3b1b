package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

const redisProgram = "redis-server"

var errNoRedis = errors.New("redis-server is not installed (apt-get install redis-server)")

// redisServer is a real one, on a free port of loopback. What it counts survives its restarts.
type redisServer struct {
	dir      string
	addr     string
	process  *exec.Cmd
	ended    chan struct{}
	output   bytes.Buffer // read after ended
	commands int          // counted before the last kill
}

func startRedis(ctx context.Context, dir string) (*redisServer, error) {
	if _, err := exec.LookPath(redisProgram); err != nil {
		return nil, errNoRedis
	}
	logging.Disable() // of go-redis: that nobody answers yet is no news
	r := &redisServer{dir: dir}
	var err error
	for range 5 { // another program may take the free port before the server does
		// Below the ports that the system hands out by itself: it stays ours while Redis is away.
		r.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(20_000+rand.IntN(12_000)))
		if err = r.start(ctx); err == nil || ctx.Err() != nil {
			break
		}
	}
	return r, err
}

// start starts the server and waits until it answers, for at most 10 s.
func (r *redisServer) start(ctx context.Context) error {
	host, port, _ := net.SplitHostPort(r.addr)
	r.output.Reset()
	r.process = exec.Command(redisProgram, "--port", port, "--bind", host, "--dir", r.dir,
		"--save", "", "--appendonly", "no", "--loglevel", "warning", "--logfile", "redis.log")
	r.process.Stdout, r.process.Stderr, r.process.SysProcAttr = &r.output, &r.output, ownGroup
	if err := r.process.Start(); err != nil {
		r.process = nil
		return err
	}
	r.ended = make(chan struct{})
	go func(process *exec.Cmd, ended chan struct{}) {
		_ = process.Wait()
		close(ended)
	}(r.process, r.ended)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		if _, err := r.info(ctx); err == nil {
			return nil
		}
		select {
		case <-r.ended:
			r.process = nil
			return fmt.Errorf("%s has ended: %s", redisProgram, strings.TrimSpace(r.output.String()))
		case <-ctx.Done():
			r.stop()
			return fmt.Errorf("%s does not answer on %s: %w", redisProgram, r.addr, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// stop kills the server. What it counted is asked for first.
func (r *redisServer) stop() {
	if r.process == nil {
		return
	}
	r.commands = r.count()
	_ = r.process.Process.Kill()
	<-r.ended
	r.process = nil
}

// count returns how many commands were sent since the first start, less our own questions.
func (r *redisServer) count() int {
	total := r.commands
	if r.process == nil {
		return total
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	text, _ := r.info(ctx)
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(line, ":calls=")
		if !ok || name == "cmdstat_info" {
			continue
		}
		number, _, _ := strings.Cut(rest, ",")
		n, _ := strconv.Atoi(number)
		total += n
	}
	return total
}

func (r *redisServer) info(ctx context.Context) (string, error) {
	client := goredis.NewClient(&goredis.Options{Addr: r.addr, DisableIdentity: true, Protocol: 2, MaxRetries: -1, DialerRetries: 1})
	defer func() { _ = client.Close() }()
	return client.Info(ctx, "commandstats").Result()
}
