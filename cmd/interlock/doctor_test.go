package main

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
)

func uuidFile(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text + "\n")} }

func TestVolumeEncrypted(t *testing.T) {
	disk := &fstest.MapFile{Data: []byte("8:1\n")}
	for name, row := range map[string]struct {
		sys              fstest.MapFS
		encrypted, known bool
	}{
		"a plain disk":             {fstest.MapFS{"v/dev": disk}, false, true},
		"LUKS":                     {fstest.MapFS{"v/dm/uuid": uuidFile("CRYPT-LUKS2-0af1-root"), "v/slaves/sda2/dev": disk}, true, true},
		"LVM on LUKS":              {fstest.MapFS{"v/dm/uuid": uuidFile("LVM-abc"), "v/slaves/dm-0/dm/uuid": uuidFile("CRYPT-LUKS1-x")}, true, true},
		"LVM on a disk":            {fstest.MapFS{"v/dm/uuid": uuidFile("LVM-abc"), "v/slaves/sda2/dev": disk}, false, true},
		"LVM half on LUKS":         {fstest.MapFS{"v/dm/uuid": uuidFile("LVM-abc"), "v/slaves/a/dm/uuid": uuidFile("CRYPT-LUKS2-x"), "v/slaves/b/dev": disk}, false, true},
		"verity is not encryption": {fstest.MapFS{"v/dm/uuid": uuidFile("CRYPT-VERITY-x"), "v/slaves/sda2/dev": disk}, false, true},
		"not shown":                {fstest.MapFS{"other": disk}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			if encrypted, known := volumeEncrypted(row.sys, "v", 0); encrypted != row.encrypted || known != row.known {
				t.Errorf("encrypted %v, known %v", encrypted, known)
			}
		})
	}
}

func TestVolumesThatStandOnThemselvesEnd(t *testing.T) {
	at, sys := "v", fstest.MapFS{}
	for range maxLayers + 2 {
		sys[at+"/dm/uuid"] = uuidFile("LVM-x")
		at += "/slaves/d"
	}
	if encrypted, known := volumeEncrypted(sys, "v", 0); encrypted || known {
		t.Errorf("encrypted %v, known %v", encrypted, known)
	}
}

func ownedBy(uid uint32, data string, mode fs.FileMode) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(data), Mode: mode, Sys: &syscall.Stat_t{Uid: uid}}
}

func TestKeysProcess(t *testing.T) {
	const line = "/usr/bin/interlock\x00child\x00keys\x00/data/keys\x00"
	for name, row := range map[string]struct {
		proc fstest.MapFS
		want result
	}{
		"not dumpable":       {fstest.MapFS{"42": ownedBy(1000, "", fs.ModeDir|0o555), "42/cmdline": ownedBy(0, line, 0o444), "42/environ": ownedBy(0, "", 0o400)}, resultPass},
		"dumpable":           {fstest.MapFS{"42": ownedBy(1000, "", fs.ModeDir|0o555), "42/cmdline": ownedBy(0, line, 0o444), "42/environ": ownedBy(1000, "", 0o400)}, resultFail},
		"of root":            {fstest.MapFS{"42": ownedBy(0, "", fs.ModeDir|0o555), "42/cmdline": ownedBy(0, line, 0o444), "42/environ": ownedBy(0, "", 0o400)}, resultSkipped},
		"of another server":  {fstest.MapFS{"42": ownedBy(1000, "", fs.ModeDir|0o555), "42/cmdline": ownedBy(0, line+"x", 0o444)}, resultSkipped},
		"of nobody's at all": {fstest.MapFS{}, resultSkipped},
	} {
		t.Run(name, func(t *testing.T) {
			p := &patient{data: "/data", proc: row.proc, status: &api.Status{Parts: map[string]core.Health{"keys": core.HealthHealthy}}}
			if f := p.keysProcess(); f.Result != row.want {
				t.Errorf("%+v", f)
			}
			p.status.Parts["keys"] = core.HealthUnhealthy
			if f := p.keysProcess(); f.Result != resultFail {
				t.Errorf("unhealthy: %+v", f)
			}
		})
	}
}

func TestDiagnosis(t *testing.T) {
	for name, row := range map[string]struct {
		results []result
		want    func(error) bool
	}{
		"all pass":           {[]result{resultPass, resultPass}, func(err error) bool { return err == nil }},
		"a warning":          {[]result{resultPass, resultWarning}, func(err error) bool { return errors.Is(err, errFindings) }},
		"a failure":          {[]result{resultFail, resultSkipped}, func(err error) bool { return errors.Is(err, errFindings) }},
		"a gap is no pass":   {[]result{resultPass, resultSkipped}, func(err error) bool { return core.KindOf(err) == core.KindUnavailable }},
		"an unknown outcome": {[]result{"odd"}, func(err error) bool { return errors.Is(err, errFindings) }},
	} {
		var list []finding
		for _, r := range row.results {
			list = append(list, finding{Check: "x", Result: r})
		}
		if err := diagnosis(list); !row.want(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
