package advisory

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
)

// The parts of a feed.
const (
	partRows  = "rows"
	partRowAt = "rowat"
)

// feed is KEV or EPSS: rows by CVE.
type feed struct {
	rows  directory
	state FeedState
}

// openFeed opens one, or none where there is none.
func openFeed(path string) (*feed, error) {
	c, err := openContainer(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f := &feed{rows: directory{c.loaded[partRows], c.loaded[partRowAt]}}
	if s := c.Manifest.Feeds[filepath.Base(path)]; s != nil {
		f.state = *s
	}
	return f, c.close()
}

func (f *feed) find(cve string) *slit {
	if f == nil {
		return nil
	}
	b, i := f.rows.find(cve)
	if i < 0 {
		return nil
	}
	s := &slit{b: b}
	s.bytes()
	return s
}

// Exploited says since when CISA lists a CVE as exploited, and whether
// ransomware uses it.
func (db *DB) Exploited(cve string) (since time.Time, ransomware bool) {
	if s := db.kev.find(cve); s != nil {
		return s.time(), s.byte() == 1
	}
	return time.Time{}, false
}

// Likelihood is a CVE's EPSS probability and percentile, 0 where it has none.
func (db *DB) Likelihood(cve string) (probability, percentile float64) {
	if s := db.epss.find(cve); s != nil {
		return float64(s.num()) / epssScale, float64(s.num()) / epssScale
	}
	return 0, 0
}

// epssScale keeps the five digits that EPSS publishes, and one more.
const epssScale = 1e6

// maxRows bounds a feed; EPSS scores every CVE there is, a third of a million.
const maxRows = 5_000_000

// writeFeed replaces a feed's file.
func writeFeed(dir, name string, rows map[string][]byte, state FeedState, now time.Time) error {
	p, err := newPacker(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	p.begin(partRows)
	l := &lists{p: p}
	for _, cve := range slices.Sorted(maps.Keys(rows)) {
		var w wire
		w.str(cve)
		w.b = append(w.b, rows[cve]...)
		if err := l.add(w.b); err != nil {
			return p.abort(err)
		}
	}
	if err := l.end(partRowAt); err != nil {
		return p.abort(err)
	}
	state.Entries = len(rows)
	return p.commit(manifest{Format: 1, Built: now, Feeds: map[string]*FeedState{name: &state}})
}

var cveName = regexp.MustCompile(`^CVE-[0-9]{4}-[0-9]{4,19}$`)

// parseKEV reads CISA's catalogue. Rows that can't be read are returned as
// problems beside those that can.
func parseKEV(data []byte) (rows map[string][]byte, state FeedState, problems []string, err error) {
	if err := checkDepth(data); err != nil {
		return nil, state, nil, err
	}
	var k struct {
		CatalogVersion  string `json:"catalogVersion"`
		DateReleased    string `json:"dateReleased"`
		Count           int    `json:"count"`
		Vulnerabilities []struct {
			CVE        string `json:"cveID"`
			Added      string `json:"dateAdded"`
			Ransomware string `json:"knownRansomwareCampaignUse"`
		} `json:"vulnerabilities"`
	}
	if err := json.Unmarshal(data, &k); err != nil {
		return nil, state, nil, core.E(core.KindInvalid, "advisory.Import", "is no KEV catalogue: "+err.Error())
	}
	state.Version = k.CatalogVersion
	if state.AsOf, err = when(k.DateReleased); err != nil || state.AsOf.IsZero() {
		return nil, state, nil, core.E(core.KindInvalid, "advisory.Import", fmt.Sprintf("the KEV catalogue was released at %.40q, which is no time", k.DateReleased))
	}
	if k.Count != 0 && k.Count != len(k.Vulnerabilities) {
		problems = append(problems, fmt.Sprintf("the catalogue counts %d vulnerabilities and lists %d", k.Count, len(k.Vulnerabilities)))
	}
	rows = map[string][]byte{}
	for _, v := range k.Vulnerabilities {
		added, err := time.Parse(time.DateOnly, v.Added)
		if err != nil || !cveName.MatchString(v.CVE) {
			problems = append(problems, fmt.Sprintf("%.40q, added %.40q, is no row", v.CVE, v.Added))
			continue
		}
		var w wire
		w.time(added)
		if v.Ransomware == "Known" {
			w.byte(1)
		} else {
			w.byte(0)
		}
		rows[v.CVE] = w.b
	}
	return rows, state, problems, nil
}

// parseEPSS reads the daily CSV with its comment line of version and date.
func parseEPSS(r io.Reader) (rows map[string][]byte, state FeedState, problems []string, err error) {
	b := bufio.NewReader(r)
	line, err := b.ReadString('\n')
	if err != nil {
		return nil, state, nil, core.E(core.KindInvalid, "advisory.Import", "is no EPSS file: it has no first line")
	}
	for _, field := range strings.Split(strings.TrimSpace(strings.TrimPrefix(line, "#")), ",") {
		switch name, value, _ := strings.Cut(field, ":"); name {
		case "model_version":
			state.Version = value
		case "score_date":
			state.AsOf = epssDate(value)
		}
	}
	if state.AsOf.IsZero() {
		return nil, state, nil, core.E(core.KindInvalid, "advisory.Import", "the EPSS file does not say of which day it is")
	}
	rows = map[string][]byte{}
	c := csv.NewReader(b)
	c.ReuseRecord, c.FieldsPerRecord = true, -1
	for n := 2; ; n++ {
		f, err := c.Read()
		if errors.Is(err, io.EOF) {
			return rows, state, problems, nil
		}
		if err != nil {
			return nil, state, nil, core.E(core.KindInvalid, "advisory.Import", fmt.Sprintf("EPSS line %d: %v", n, err))
		}
		if n == 2 && f[0] == "cve" {
			continue
		}
		if row, ok := epssRow(f); ok && len(rows) < maxRows {
			rows[f[0]] = row
		} else if len(problems) < maxProblems {
			problems = append(problems, fmt.Sprintf("line %d is no score of a CVE", n))
		}
	}
}

func epssDate(s string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05-0700", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

func epssRow(f []string) ([]byte, bool) {
	if len(f) < 3 || !cveName.MatchString(f[0]) {
		return nil, false
	}
	score, err1 := strconv.ParseFloat(f[1], 64)
	percentile, err2 := strconv.ParseFloat(f[2], 64)
	if err1 != nil || err2 != nil || !(score >= 0 && score <= 1 && percentile >= 0 && percentile <= 1) {
		return nil, false
	}
	var w wire
	w.int(int(score*epssScale + .5))
	w.int(int(percentile*epssScale + .5))
	return w.b, true
}
