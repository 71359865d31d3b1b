package gateway

import (
	"testing"

	"github.com/keyhitch/keyhitch/entities"
)

func TestNoSpellingOfTheCredentialsParameterGoesOut(t *testing.T) {
	d := &door{query: []string{"api_key", "Auth.Token"}}
	for _, query := range []string{
		"api_key=x", "API_KEY=x", "Api_Key=x", "api%5Fkey=x", "api.key=x", "api+key=x", "api%20key=x", "+api_key=x", "%09api_key=x",
		"api_key[]=x", "api_key%5B0%5D=x", "[api_key]=x", "%5Bapi_key%5D=x", "api[key=x", "api_key%00more=x", "api_key", "%u0061pi_key=x",
		"auth.token=x", "AUTH_TOKEN=x", "Auth.Token=x", "auth%2Etoken[a]=x",
	} {
		for _, whole := range []string{query, "a=1&" + query, "a=1;" + query} {
			if got := d.withoutCredentials(whole); got != "" && got != "a=1" {
				t.Errorf("%s: got %q, want it without the credential", whole, got)
			}
		}
	}
}

func TestParametersBesideTheCredentialGoOutAsTheyAre(t *testing.T) {
	const query = "a=1&api=%2f&api-key=2&key=3&api_keys=4&api[k]=5&a[api_key]=6&%zz=7"
	for _, d := range []*door{{}, {query: []string{"api_key"}}} {
		if got := d.withoutCredentials(query); got != query {
			t.Errorf("got %q, want %q", got, query)
		}
	}
}

func TestAQueryCostsNothingWhereTheCredentialIsElsewhere(t *testing.T) {
	d := &door{}
	if n := testing.AllocsPerRun(100, func() { d.withoutCredentials("a=1&b=2") }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func TestADeclaredCallMaySpellTheCredentialsParameterNoOtherWay(t *testing.T) {
	for _, name := range []string{"api_key", "API_KEY", "api.key", "[api_key]"} {
		if got := named("/uriQuery", entities.Object{{Name: "a"}, {Name: name}}, []string{"api_key"}); got != pointer("/uriQuery", name) {
			t.Errorf("%s: got %q, want it found", name, got)
		}
	}
}
