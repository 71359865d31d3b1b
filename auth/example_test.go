package auth_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

// A token source, cached, whose token goes into a header of every call to one origin.
func ExampleTransport() {
	system := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, "called with ", r.Header.Get("Authorization"))
	}))
	defer system.Close()
	origin, _ := url.Parse(system.URL)

	place, _ := auth.CompileFields([]auth.Field{{Path: "header.headers.Authorization", Format: "Bearer {token}"}}, nil, "token")
	login := auth.TokenSourceFunc(func(context.Context) (auth.Token, error) {
		fmt.Println("logging in")
		now := time.Now()
		return auth.Token{Values: map[string]auth.Secret{"token": auth.NewSecret("T1")}, Obtained: now, Expiry: now.Add(time.Hour)}, nil
	})
	client := &http.Client{
		Transport: &auth.Transport{
			Base:      auth.NewBase(),
			Auth:      &auth.Placed{Source: auth.Cached(auth.Credential{Key: "demo", Source: login}, auth.Env{Now: time.Now}), Placement: place},
			Origin:    auth.OriginOf(origin),
			Resubmits: 1,
		},
		CheckRedirect: auth.Redirects(0, nil),
	}
	for range 2 {
		res, err := client.Get(system.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		answer, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		fmt.Printf("%s\n", answer)
	}
	// Output:
	// logging in
	// called with Bearer T1
	// called with Bearer T1
}

// A format is compiled once; values are filled in and never scanned again.
func ExampleFormat() {
	f, err := auth.CompileFormat("Basic {b64}{username}:{password}{/b64}", "username", "password")
	if err != nil {
		fmt.Println(err)
		return
	}
	text, _ := f.Render(map[string]auth.Secret{"username": auth.NewSecret("ann"), "password": auth.NewSecret("p:w")})
	fmt.Println(text)
	_, err = auth.CompileFormat("Basic {b64}{username}:{password}", "username", "password")
	fmt.Println(err)
	// Output:
	// Basic YW5uOnA6dw==
	// the {b64} block before character 12 is not closed; write {/b64} at its end
}
