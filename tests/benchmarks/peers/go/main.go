// The peer in Go: Echo and pgx, the specification's own stack, as a careful engineer would write it.
//
// Tokens are verified once and remembered. A heartbeat is one statement; only when it hits nothing, a second one finds
// out why.
package main

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log"
	"math/big"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"
)

const (
	base             = "/api/v1/library/playtime/sessions"
	intervalSeconds  = "60"
	rememberedTokens = 200_000

	heartbeatSQL = `update playtime_sessions set last_heartbeat_at = now()
		where id = $1 and user_id = $2 and end_time is null returning last_heartbeat_at`
	endedSQL = `select end_time is not null from playtime_sessions where id = $1 and user_id = $2`
)

type verified struct {
	user    uuid.UUID
	expires time.Time
}

// authenticator remembers verified tokens; when it is full it forgets an arbitrary one.
type authenticator struct {
	keys       map[string]*rsa.PublicKey
	mutex      sync.RWMutex
	remembered map[string]verified
}

func (a *authenticator) user(header string) (uuid.UUID, error) {
	a.mutex.RLock()
	known, found := a.remembered[header]
	a.mutex.RUnlock()
	if found && time.Now().Before(known.expires) {
		return known.user, nil
	}
	token, isBearer := strings.CutPrefix(header, "Bearer ")
	if !isBearer {
		return uuid.Nil, errors.New("no bearer token")
	}
	claims := jwt.RegisteredClaims{}
	_, err := jwt.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		if key, known := a.keys[kid]; known {
			return key, nil
		}
		return nil, errors.New("unknown key")
	}, jwt.WithValidMethods([]string{"RS256"}), jwt.WithExpirationRequired())
	if err != nil {
		return uuid.Nil, err
	}
	user, err := uuid.Parse(claims.Subject)
	if err != nil {
		return uuid.Nil, err
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if len(a.remembered) >= rememberedTokens {
		for oldest := range a.remembered {
			delete(a.remembered, oldest)
			break
		}
	}
	a.remembered[strings.Clone(header)] = verified{user, claims.ExpiresAt.Time}
	return user, nil
}

func readKeys(path string) (map[string]*rsa.PublicKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []struct{ Kid, N, E string } `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, err
	}
	keys := map[string]*rsa.PublicKey{}
	for _, key := range set.Keys {
		n, err := base64.RawURLEncoding.DecodeString(key.N)
		if err != nil {
			return nil, err
		}
		e, err := base64.RawURLEncoding.DecodeString(key.E)
		if err != nil {
			return nil, err
		}
		keys[key.Kid] = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	}
	return keys, nil
}

func refuse(c echo.Context, status int, code string) error {
	return c.JSON(status, map[string]any{"errors": []map[string]string{{"code": code, "status": strconv.Itoa(status)}}})
}

func main() {
	keys, err := readKeys(os.Getenv("PEER_JWKS_FILE"))
	if err != nil {
		log.Fatal(err)
	}
	auth := &authenticator{keys: keys, remembered: map[string]verified{}}
	config, err := pgxpool.ParseConfig(os.Getenv("PEER_DSN"))
	if err != nil {
		log.Fatal(err)
	}
	connections, err := strconv.Atoi(os.Getenv("PEER_CONNECTIONS"))
	if err != nil {
		log.Fatal(err)
	}
	config.MaxConns, config.MinConns = int32(connections), int32(connections)
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}

	server := echo.New()
	server.HideBanner, server.HidePort = true, true
	server.GET("/healthz", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	server.POST(base+"/:id/heartbeat", func(c echo.Context) error {
		ctx := c.Request().Context()
		user, err := auth.user(c.Request().Header.Get(echo.HeaderAuthorization))
		if err != nil {
			return refuse(c, http.StatusUnauthorized, "UNAUTHENTICATED")
		}
		session, err := uuid.Parse(c.Param("id"))
		if err != nil {
			return refuse(c, http.StatusNotFound, "SESSION_NOT_FOUND")
		}
		var acceptedAt time.Time
		err = pool.QueryRow(ctx, heartbeatSQL, session, user).Scan(&acceptedAt)
		if errors.Is(err, pgx.ErrNoRows) {
			var ended bool
			if err := pool.QueryRow(ctx, endedSQL, session, user).Scan(&ended); err != nil {
				return refuse(c, http.StatusNotFound, "SESSION_NOT_FOUND")
			}
			return refuse(c, http.StatusConflict, "SESSION_ENDED")
		}
		if err != nil {
			return refuse(c, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE")
		}
		headers := c.Response().Header()
		headers.Set("Library-Accepted-At", acceptedAt.UTC().Format(time.RFC3339Nano))
		headers.Set("Library-Next-Heartbeat-Seconds", intervalSeconds)
		return c.NoContent(http.StatusNoContent)
	})
	log.Fatal(server.Start(os.Getenv("PEER_ADDRESS")))
}
