package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// readyTime is how long a running gateway may take to say how it is.
const readyTime = 5 * time.Second

// askReady asks the gateway that runs with the same settings. It is the health check of images that
// hold nothing but this program.
func (s *server) askReady(ctx context.Context) error {
	file, err := s.readProject()
	if err != nil {
		return err
	}
	l := new(load)
	if file != nil {
		if l.settings.Gateway, err = file.Gateway(); err != nil {
			return err
		}
	}
	address := s.whereAdmin(l)
	if address == "" {
		return usage("there is no admin address to ask; name one with --admin")
	}
	return s.printReady(ctx, address)
}

func (s *server) printReady(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/readyz", nil)
	if err != nil {
		return err
	}
	network, host := "tcp", address
	if path, ok := strings.CutPrefix(address, unixPrefix); ok {
		network, host = "unix", path
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, host)
	}
	res, err := (&http.Transport{DialContext: dial, DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return errors.Join(errors.New("no gateway answers on "+address), err)
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(s.out, io.LimitReader(res.Body, 1<<20)); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return exitCode(exitServer)
	}
	return nil
}
