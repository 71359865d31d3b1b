package test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// needs skips the test where a program is missing, unless CI is set: then the test fails.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed, and CI must not skip", name)
		}
		t.Skipf("%s is not installed", name)
	}
}

func TestServiceUnitIsValid(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed, and systemd is too large to install for one check")
	}
	text, err := os.ReadFile("../deploy/keyhitch.service")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "keyhitch.service", strings.Replace(string(text), "/usr/local/bin/keyhitch", binary, 1)) // verify wants the program
	out, err := exec.Command("systemd-analyze", "verify", filepath.Join(dir, "keyhitch.service")).CombinedOutput()
	if err != nil || strings.Contains(string(out), "keyhitch.service:") {
		t.Errorf("got %v: %s", err, out)
	}
}

func TestFleetExampleShowsOneLogin(t *testing.T) {
	needs(t, "bash", "curl", "redis-server", "redis-cli")
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS("../examples/fleet")); err != nil {
		t.Fatal(err)
	}
	_ = os.RemoveAll(filepath.Join(copied, "run"))
	cmd := exec.CommandContext(t.Context(), "bash", filepath.Join(copied, "start.sh"))
	cmd.Env = append(os.Environ(), "KEYHITCH="+binary, "FLEET_PORTS="+freePorts(t, 4), "KEYHITCH_PROJECT=", "KEYHITCH_REDIS_URL=", "KEYHITCH_SEAL_KEY=")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "41 calls answered by two gateways, 1 login.") {
		logs, _ := exec.Command("sh", "-c", "tail -5 "+copied+"/run/*.log").CombinedOutput()
		t.Errorf("got %v: %s%s", err, out, logs)
	}
}

// freePorts are ports that nobody has now. They are let go together, so that they differ.
func freePorts(t *testing.T, n int) string {
	t.Helper()
	var ports []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		ports = append(ports, fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
	}
	return strings.Join(ports, " ")
}
