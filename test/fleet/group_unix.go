//go:build unix

package main

import "syscall"

// ownGroup keeps an interrupt at the terminal from children: they end when we say so.
var ownGroup = &syscall.SysProcAttr{Setpgid: true}
