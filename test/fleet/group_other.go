//go:build !unix

package main

import "syscall"

// ownGroup has nothing to ask for here.
var ownGroup *syscall.SysProcAttr
