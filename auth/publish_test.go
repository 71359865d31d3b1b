package auth_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

// overtaken are two processes of which the first logs in first and publishes its T1 while the
// second is about to publish its T2.
type overtaken struct {
	*cluster
	second *auth.CachedSource
	store  *counted     // of the second
	tokens *auth.Tokens // of the second
}

func newOvertaken(t *testing.T) *overtaken {
	t.Helper()
	o := &overtaken{cluster: newCluster(t, 0), tokens: new(auth.Tokens)}
	o.apart = time.Minute
	tokens := new(auth.Tokens)
	first, store := o.processWith(t, auth.Env{Tokens: tokens})
	loggedIn, publish := make(chan struct{}), make(chan struct{})
	store.beforePublish = func() { // without its lease
		close(loggedIn)
		<-publish
	}
	want(t, first, "T1")
	<-loggedIn
	o.second, o.store = o.processWith(t, auth.Env{Tokens: o.tokens})
	o.store.beforePublish = sync.OnceFunc(func() {
		close(publish)
		_ = tokens.Wait(context.Background())
	})
	return o
}

// published waits until the second process has done all that it does with its token.
func (o *overtaken) published(t *testing.T) {
	t.Helper()
	want(t, o.second, "T2")
	if err := o.tokens.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// wantShared fails unless a new process has this token, after so many logins.
func (o *overtaken) wantShared(t *testing.T, text string, logins int64) {
	t.Helper()
	fresh, _ := o.process(t)
	want(t, fresh, text)
	if n := o.logins.Load(); n != logins {
		t.Errorf("%d logins, want %d", n, logins)
	}
}

func TestNewerTokenTakesThePlaceOfAnOlderOneThatWasPublishedFirst(t *testing.T) {
	o := newOvertaken(t)
	o.published(t)
	want(t, o.second, "T2")
	o.wantShared(t, "T2", 2)
}

func TestPurgeIsNotUndoneByANewerToken(t *testing.T) {
	for name, hook := range map[string]func(s *counted, purge func()){
		"before the lease": func(s *counted, purge func()) { s.beforeLease = onSecond(purge) },
		"under the lease": func(s *counted, purge func()) {
			first, second := s.beforePublish, onSecond(purge)
			s.beforePublish = func() { first(); second() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOvertaken(t)
			other, _ := o.process(t)
			hook(o.store, func() {
				if err := other.Drop(context.Background()); err != nil {
					t.Error(err)
				}
			})
			o.published(t)
			o.wantShared(t, "T3", 3)
		})
	}
}

func TestRefusedTokenTakesNoOthersPlace(t *testing.T) {
	o := newOvertaken(t)
	o.store.beforeLease = onSecond(func() { o.second.Invalidate(1) })
	o.published(t)
	o.wantShared(t, "T1", 2)
}

func TestTokenOfAThirdLoginIsKept(t *testing.T) {
	o := newOvertaken(t)
	o.store.beforeLease = onSecond(func() { o.logIn(t) })
	o.published(t)
	want(t, o.second, "T3")
	o.wantShared(t, "T3", 3)
}

func TestTokenOfAfterAPurgeIsKeptWhateverTheClocksSay(t *testing.T) {
	o := newOvertaken(t)
	other, _ := o.process(t)
	o.store.beforeGet = onSecond(func() {
		if err := other.Drop(context.Background()); err != nil {
			t.Error(err)
		}
		o.apart = time.Hour // T3 seems to be of hours ago
		o.logIn(t)
	})
	o.published(t)
	o.wantShared(t, "T3", 3)
}

// onSecond returns a function that does something when it is called for the second time.
func onSecond(do func()) func() {
	calls := 0
	return func() {
		if calls++; calls == 2 {
			do()
		}
	}
}

// logIn has a third process ask for a token and publish it.
func (o *overtaken) logIn(t *testing.T) {
	t.Helper()
	tokens := new(auth.Tokens)
	third, _ := o.processWith(t, auth.Env{Tokens: tokens})
	if _, _, err := third.Refresh(context.Background()); err != nil {
		t.Error(err)
	}
	_ = tokens.Wait(context.Background())
}
