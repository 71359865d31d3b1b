package crypt_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/entities/crypt"
)

// Made by: printf 'p:w ü' | openssl enc -aes-256-cbc -md md5 -base64 -salt -pass pass:adapter-1
const openssl = "U2FsdGVkX19eOfyXqLNy52qcZRPhuUIE/BMimwvIcb0="

func TestOpenReadsWhatOpensslWrites(t *testing.T) {
	for _, text := range []string{openssl, openssl[:20] + "\n" + openssl[20:] + "\n"} {
		if got, err := crypt.Open("adapter-1", text); got != "p:w ü" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

func TestSealWritesWhatOpensslWrites(t *testing.T) {
	salt := []byte{0x5e, 0x39, 0xfc, 0x97, 0xa8, 0xb3, 0x72, 0xe7}
	if got, err := crypt.Seal("adapter-1", "p:w ü", bytes.NewReader(salt)); got != openssl || err != nil {
		t.Errorf("got %s, %v, want %s", got, err, openssl)
	}
	if _, err := crypt.Seal("k", "x", bytes.NewReader(nil)); err == nil {
		t.Error("want an error without a salt")
	}
}

func TestSealAndOpen(t *testing.T) {
	for size := range 40 {
		plain := strings.Repeat("x", size)
		text, err := crypt.Seal("key", plain, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := crypt.Open("key", text); got != plain || err != nil {
			t.Errorf("%d bytes: got %q, %v", size, got, err)
		}
	}
}

func TestDecode(t *testing.T) {
	for value, want := range map[string]string{
		"plain": "plain", "": "", "{other}x": "{other}x",
		"{code}cDp3IMO8": "p:w ü", "{crypt}" + openssl: "p:w ü",
	} {
		if got, err := crypt.Decode("adapter-1", value); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", value, got, err, want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, value := range []string{"{code}***", "{crypt}", "{crypt}***", "{crypt}AAAA", "{crypt}" + openssl[:40], "{crypt}" + strings.Replace(openssl, "U2Fs", "V2Fs", 1)} {
		if got, err := crypt.Decode("adapter-1", value); err == nil || strings.Contains(err.Error(), "***") {
			t.Errorf("%s: got %q, %v", value, got, err)
		}
	}
	if _, err := crypt.Decode("another", "{crypt}"+openssl); !errors.Is(err, crypt.ErrFormat) {
		t.Errorf("wrong passphrase: got %v", err)
	}
}
