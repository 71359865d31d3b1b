package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/keyhitch/keyhitch/cache"
)

// slow is how long a caller must have waited in vain for his leaving to count against Redis.
const slow = 50 * time.Millisecond

// ask puts one question to Redis: within bounds of time, and not while the breaker is open.
// What it returns is the context's error, one that wraps cache.ErrDown, or nil.
func (s *Store) ask(ctx context.Context, question func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	round, err := s.breaker.enter()
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	began := time.Now()
	err = question(bounded)
	switch {
	case err == nil:
		s.breaker.leave(round, answered, nil)
		return nil
	case ctx.Err() != nil:
		o, cause := undecided, error(nil)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) && time.Since(began) >= slow {
			o, cause = failed, s.down(err)
		}
		s.breaker.leave(round, o, cause)
		return ctx.Err()
	}
	down := s.down(err)
	o := failed
	if code := answerCode(err); code != "" && !slices.Contains(lostCodes, code) {
		o = answered
	}
	s.breaker.leave(round, o, down)
	return down
}

// lostCodes are the answers of a Redis that will answer everybody like this. Others (OOM,
// NOPERM, READONLY, …) refuse one command, at once, and are no reason to stop reading.
var lostCodes = []string{"WRONGPASS", "NOAUTH", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "MAXCLIENTS"}

// answerCode returns the first word of Redis's own error; empty when err is none.
func answerCode(err error) string {
	var answer goredis.Error
	if !errors.As(err, &answer) {
		return ""
	}
	text := answer.Error()
	if strings.Contains(text, "max number of clients") {
		return "MAXCLIENTS"
	}
	code, _, _ := strings.Cut(text, " ")
	if code == "" || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "ERR"
	}
	return code
}

// down wraps cache.ErrDown, and says where and why. What Redis answers is cut down to its
// code: an older server quotes the whole command, password and value included.
func (s *Store) down(err error) error {
	var (
		network     *net.OpError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
	)
	switch code := answerCode(err); {
	case code == "WRONGPASS" || code == "NOAUTH":
		return fmt.Errorf("%w: %s refuses the user or password (%s)", cache.ErrDown, s.where, code)
	case code != "":
		return fmt.Errorf("%w: %s answered %s", cache.ErrDown, s.where, code)
	case errors.As(err, &certificate):
		return fmt.Errorf("%w: %s: %w", cache.ErrDown, s.where, certificate)
	case errors.As(err, &record):
		return fmt.Errorf("%w: %s does not speak TLS", cache.ErrDown, s.where)
	case errors.As(err, &network):
		return fmt.Errorf("%w: %s: %w", cache.ErrDown, s.where, network)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fmt.Errorf("%w: %s: no answer in time", cache.ErrDown, s.where)
	case errors.Is(err, goredis.ErrPoolTimeout):
		return fmt.Errorf("%w: %s: no free connection", cache.ErrDown, s.where)
	case errors.Is(err, goredis.ErrClosed):
		return fmt.Errorf("%w: the store is closed", cache.ErrDown)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: %s: connection lost", cache.ErrDown, s.where)
	}
	return fmt.Errorf("%w: %s: no usable answer (%T)", cache.ErrDown, s.where, err)
}
