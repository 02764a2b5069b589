package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

// batchEvents is a device's batch after some minutes without a network.
const batchEvents = 100

// batchVerify is what the server does with a device's batch before it believes a
// byte of it: envelope, signature by the registered key, strict decoding. The
// floor is one check of a P-256 signature over the same bytes.
func batchVerify() trial {
	return trial{
		figures: []figure{{name: "link/batch/verify", unit: "batches/cpu-s", floor: "raw/ecdsa-p256/verify"}},
		open:    openBatch,
	}
}

func openBatch(context.Context, string) (sides, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return sides{}, err
	}
	payload, err := link.EncodeBatch(batch())
	if err != nil {
		return sides{}, err
	}
	verify, err := verifyBatch(key, payload)
	if err != nil {
		return sides{}, err
	}
	bare, err := verifyBare(key, payload)
	if err != nil {
		return sides{}, err
	}
	return sides{ours: perSecond(1, verify), floor: perSecond(1, bare), close: func() error { return nil }}, nil
}

func verifyBatch(key *ecdsa.PrivateKey, payload []byte) (func() error, error) {
	signer, err := link.NewCryptoSigner(key)
	if err != nil {
		return nil, err
	}
	sealed, err := link.SealEnvelope(link.NamespaceBatch, payload, signer)
	if err != nil {
		return nil, err
	}
	body, err := sealed.Encode()
	if err != nil {
		return nil, err
	}
	return func() error {
		env, err := link.ParseEnvelope(body)
		if err != nil {
			return err
		}
		registered, err := ssh.NewPublicKey(key.Public())
		if err != nil {
			return err
		}
		if err := env.VerifiedBy(link.NamespaceBatch, registered); err != nil {
			return err
		}
		_, err = link.DecodeBatch(env.Payload)
		return err
	}, nil
}

func verifyBare(key *ecdsa.PrivateKey, payload []byte) (func() error, error) {
	sum := sha512.Sum512(payload)
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		return nil, err
	}
	return func() error {
		sum := sha512.Sum512(payload)
		if !ecdsa.VerifyASN1(&key.PublicKey, sum[:], sig) {
			return errors.New("a signature of our own does not verify")
		}
		return nil
	}, nil
}

func batch() *link.Batch {
	b := &link.Batch{
		V: 1, Tenant: benchTenant, Device: core.MustID[core.DeviceID]("press-7"), Epoch: strings.Repeat("3f", 16), First: 1, Last: batchEvents,
		Boot: "0b6f3c2e-6d1c-4a5e-9a39-5f6a4f0e7d11", StateCounter: 3, PolicyVersion: 7, RootVersion: 1, Sent: logTime.UnixMicro(),
	}
	for seq := range uint64(batchEvents) {
		sum := sha256.Sum256(fmt.Append(nil, seq))
		b.Events = append(b.Events, link.DeviceEvent{
			Seq: seq + 1, ID: core.NewUUID(logTime), Time: logTime.UnixMicro(), Mono: int64(seq), Type: "carrier_down", Class: core.ClassDeviceState,
			Severity: core.SeverityHigh, Sensor: "eth0", State: core.SensorAlarm, Latch: fmt.Sprintf("%x", sum[:16]),
			Fields: json.RawMessage(`{"interface":"eth0","index":2,"carrier":0}`),
		})
	}
	return b
}
