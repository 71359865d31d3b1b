// Package crypt reads and writes the {code} and {crypt} values of adapter configurations.
//
//	{code}  + base64 of the text
//	{crypt} + base64 of "Salted__", eight bytes of salt, AES-256-CBC text
//
// The second is what `openssl enc -aes-256-cbc -md md5 -base64 -salt` makes. It hides values
// from a glance and protects nothing: the passphrase is usually known. Keep secrets elsewhere.
package crypt

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The prefixes of values that Decode understands.
const (
	Prefix     = "{crypt}"
	CodePrefix = "{code}"
)

const (
	magic    = "Salted__"
	saltSize = 8
	keySize  = 32
)

// ErrFormat says that a text is no encrypted value, or that the passphrase is another one.
var ErrFormat = errors.New("not a value encrypted with this passphrase")

// Seal encrypts plain and returns base64 text without Prefix. The salt comes from rand.
func Seal(passphrase, plain string, rand io.Reader) (string, error) {
	out := make([]byte, len(magic)+saltSize, len(magic)+saltSize+len(plain)+aes.BlockSize)
	copy(out, magic)
	salt := out[len(magic):]
	if _, err := io.ReadFull(rand, salt); err != nil {
		return "", fmt.Errorf("salt: %w", err)
	}
	block, iv, err := derive(passphrase, salt)
	if err != nil {
		return "", err
	}
	padding := aes.BlockSize - len(plain)%aes.BlockSize
	text := append([]byte(plain), strings.Repeat(string(rune(padding)), padding)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(text, text)
	return base64.StdEncoding.EncodeToString(append(out, text...)), nil
}

// Open decrypts what Seal or openssl made; line breaks in text do no harm. The error is
// ErrFormat.
func Open(passphrase, text string) (string, error) {
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil || len(data) < len(magic)+saltSize+aes.BlockSize || string(data[:len(magic)]) != magic {
		return "", ErrFormat
	}
	salt, body := data[len(magic):len(magic)+saltSize], data[len(magic)+saltSize:]
	if len(body)%aes.BlockSize != 0 {
		return "", ErrFormat
	}
	block, iv, err := derive(passphrase, salt)
	if err != nil {
		return "", err
	}
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(body, body)
	padding := int(body[len(body)-1])
	if padding == 0 || padding > aes.BlockSize {
		return "", ErrFormat
	}
	for _, b := range body[len(body)-padding:] {
		if int(b) != padding {
			return "", ErrFormat
		}
	}
	return string(body[:len(body)-padding]), nil
}

// Decode returns the text behind a value with one of the prefixes, and any other value as it
// is. The error quotes nothing of the value.
func Decode(passphrase, value string) (string, error) {
	if text, ok := strings.CutPrefix(value, Prefix); ok {
		plain, err := Open(passphrase, text)
		if err != nil {
			return "", fmt.Errorf("%s value: %w", Prefix, err)
		}
		return plain, nil
	}
	text, ok := strings.CutPrefix(value, CodePrefix)
	if !ok {
		return value, nil
	}
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return "", fmt.Errorf("%s value: not base64", CodePrefix)
	}
	return string(plain), nil
}

// derive makes key and IV as OpenSSL's EVP_BytesToKey does with MD5 and one round.
func derive(passphrase string, salt []byte) (cipher.Block, []byte, error) {
	var digest, out []byte
	for len(out) < keySize+aes.BlockSize {
		sum := md5.Sum(append(append(digest, passphrase...), salt...))
		digest = sum[:]
		out = append(out, digest...)
	}
	block, err := aes.NewCipher(out[:keySize])
	return block, out[keySize : keySize+aes.BlockSize], err
}
