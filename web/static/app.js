// The console's script. It makes pages livelier and never decides anything: all
// text from the server is set as text, and without it every page can be read.
'use strict';

(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const el = (tag, cls, text) => {
    const node = document.createElement(tag);
    if (cls) node.className = cls;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;

  // Times

  const age = (s) => {
    if (s < 60) return `${Math.floor(s)} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min`;
    if (s < 172800) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
    return `${Math.floor(s / 86400)} days`;
  };
  const pad = (n, wide = 2) => String(n).padStart(wide, '0');
  const clock = (d) => `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}.${pad(d.getMilliseconds(), 3)}`;
  const day = (d) => `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
  const showTimes = () => {
    const now = Date.now();
    for (const t of $$('time[data-ago]')) {
      const s = (now - Date.parse(t.dateTime)) / 1000;
      t.textContent = s < 0 ? `in ${age(-s)}` : s < 5 ? 'just now' : `${age(s)} ago`;
    }
  };
  for (const t of $$('time[data-when], time[data-clock]')) {
    const d = new Date(t.dateTime);
    t.title = t.dateTime;
    t.textContent = t.hasAttribute('data-clock') ? clock(d) : `${day(d)} ${clock(d).slice(0, 8)}`;
  }
  setInterval(showTimes, 10000);

  // Keyboard

  const typing = (e) => e.target.closest('input, textarea, select, [contenteditable]');
  const places = { b: '/', l: '/live', a: '/alerts', i: '/incidents', d: '/devices', s: '/seals' };
  let going = 0;
  const step = (by) => {
    const rows = $$('.row-link').filter((a) => a.offsetParent);
    if (!rows.length) return;
    const at = rows.indexOf(document.activeElement);
    const to = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + by))];
    to.focus();
    to.scrollIntoView({ block: 'nearest', behavior: still ? 'auto' : 'smooth' });
  };
  document.addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === 'Escape' && typing(e)) { e.target.blur(); return; }
    if (typing(e) || $('dialog[open]')) return;
    const wasGoing = e.timeStamp - going < 1000;
    going = 0;
    if (wasGoing && places[e.key]) { location.assign(places[e.key]); return; }
    switch (e.key) {
      case '/': { const q = $('main input[type="search"]') || $('#q'); if (!q) return; q.focus(); q.select(); break; }
      case 'j': step(1); break;
      case 'k': step(-1); break;
      case 'g': going = e.timeStamp; break;
      case '?': { const h = $('#help'); if (h) h.showModal(); break; }
      default: return;
    }
    e.preventDefault();
  });
  document.addEventListener('click', (e) => {
    const menu = $('.dock-more[open]');
    if (menu && !menu.contains(e.target)) menu.open = false;
  });
  for (const form of $$('form[method="post"]')) {
    form.addEventListener('submit', (e) => {
      if (form.dataset.sent) { e.preventDefault(); return; } // one press, one effect
      form.dataset.sent = 'yes';
      for (const b of $$('button', form)) b.setAttribute('aria-busy', 'true');
    });
  }
  addEventListener('pageshow', () => { // back from history: the forms can be sent again
    for (const form of $$('form[data-sent]')) {
      delete form.dataset.sent;
      for (const b of $$('button', form)) b.removeAttribute('aria-busy');
    }
  });
  for (const b of $$('[data-copy]')) {
    b.hidden = false;
    b.addEventListener('click', async () => {
      const from = $(b.dataset.copy);
      if (!from) return;
      await navigator.clipboard.writeText(from.textContent);
      const text = b.textContent;
      b.textContent = 'Copied';
      setTimeout(() => { b.textContent = text; }, 1500);
    });
  }

  // Passkeys

  const bytes = (b64) => Uint8Array.from(atob(b64.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
  const b64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  const decode = (options) => {
    const o = options.publicKey || options;
    o.challenge = bytes(o.challenge);
    if (o.user) o.user.id = bytes(o.user.id);
    for (const list of [o.excludeCredentials, o.allowCredentials]) for (const c of list || []) c.id = bytes(c.id);
    return { publicKey: o };
  };
  const encode = (c) => {
    const out = { id: c.id, rawId: b64(c.rawId), type: c.type, clientExtensionResults: c.getClientExtensionResults(), response: {} };
    if (c.authenticatorAttachment) out.authenticatorAttachment = c.authenticatorAttachment;
    for (const key of ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle']) {
      if (c.response[key]) out.response[key] = b64(c.response[key]);
    }
    if (c.response.getTransports) out.response.transports = c.response.getTransports();
    return out;
  };
  const send = async (path, body, csrf) => {
    const headers = { 'Content-Type': 'application/json' };
    if (csrf) headers['X-CSRF'] = csrf;
    const res = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
    const answer = await res.json().catch(() => ({}));
    if (!res.ok) throw new Error([answer.detail || `The server answered ${res.status}.`, answer.next].filter(Boolean).join(' — '));
    return answer;
  };
  // what a form with data-fields says goes along, so that the passkey signs it
  const filled = (form) => ('fields' in form.dataset ? { fields: new URLSearchParams([...new FormData(form)].filter(([name]) => name !== 'csrf')).toString() } : {});
  const ceremonies = {
    'sign-in': {
      begin: () => send('/sign-in/begin', {}),
      ask: (o) => navigator.credentials.get(decode(o)),
      finish: (handle, credential) => send('/sign-in/finish', { handle, credential }),
    },
    register: {
      begin: (form) => send('/register/begin', { link: location.hash.slice(1), name: form.elements.name.value }),
      ask: (o) => navigator.credentials.create(decode(o)),
      finish: (handle, credential) => send('/register/finish', { handle, credential }),
    },
    confirm: {
      begin: (form) => send(form.dataset.begin, filled(form), form.elements.csrf.value),
      ask: (o) => navigator.credentials.get(decode(o)),
      finish: (handle, credential, form) => send(form.dataset.finish, { handle, credential, ...filled(form) }, form.elements.csrf.value),
    },
  };
  const refusals = {
    NotAllowedError: 'Nothing was done: the passkey was not used, or it took too long. Try again.',
    InvalidStateError: 'This passkey is registered here already. Sign in with it.',
    SecurityError: 'The browser refuses passkeys at this address. Open the console under its own name.',
  };
  for (const form of $$('form[data-passkey]')) {
    const say = (text, tone) => {
      const status = $('.status', form);
      status.textContent = text;
      status.dataset.tone = tone || '';
    };
    const button = $('button[type="submit"]', form);
    if (!window.PublicKeyCredential) { say('This browser has no passkeys. Use a current one, at the console’s own address.', 'bad'); continue; }
    button.disabled = false;
    form.addEventListener('submit', async (e) => {
      e.preventDefault();
      const ceremony = ceremonies[form.dataset.passkey];
      button.disabled = true;
      say('Waiting for your passkey …');
      try {
        const { handle, options } = await ceremony.begin(form);
        const credential = await ceremony.ask(options);
        say('Checking …');
        const answer = await ceremony.finish(handle, encode(credential), form);
        location.assign(form.dataset.next || answer.next || '/');
      } catch (err) {
        say(refusals[err.name] || err.message, 'bad');
        button.disabled = false;
      }
    });
  }
  const registration = $('form[data-passkey="register"]');
  if (registration && location.hash.length < 20) {
    const status = $('.status', registration);
    status.textContent = 'This address lacks its secret part. Open the whole link that you were given, up to its last character.';
    status.dataset.tone = 'bad';
    $('button[type="submit"]', registration).disabled = true;
  }

  // Live events: batches are drawn once a frame, as text.

  const list = $('#events[data-stream]');
  if (list && window.EventSource) {
    const most = Number(list.dataset.most) || 200;
    const state = $('#pulse');
    const severities = ['info', 'low', 'medium', 'high', 'critical'];
    const least = severities.indexOf(list.dataset.least);
    const kept = [];
    let source = null, drawing = false, paused = false, last = list.dataset.cursor || '';
    const tell = (text, value) => { if (state) { state.textContent = text; state.dataset.state = value; } };
    const cell = (row, label, ...content) => {
      const td = el('td');
      td.dataset.label = label;
      td.append(...content);
      row.append(td);
      return td;
    };
    // escape text as the server does: parts that stand for what can't be seen
    const shown = (parts) => {
      const bdi = el('bdi');
      for (const [text, escaped] of parts) bdi.append(escaped ? el('span', 'esc', text) : text);
      return bdi;
    };
    const draw = (ev) => {
      const row = el('tr', still ? '' : 'fresh');
      if (ev.skipped) {
        const td = el('td', 'muted', ev.skipped < 0 ? 'More events came in than can be shown; the search has them all.' : `${ev.skipped} more events came in than can be shown; the search has them all.`);
        td.colSpan = 5;
        row.append(td);
        return row;
      }
      const time = el('time', '', clock(new Date(ev.at)));
      time.dateTime = ev.at;
      time.title = ev.at;
      cell(row, 'Time', time).className = 'nowrap';
      cell(row, 'Severity', el('span', `sev sev-${ev.severity}`, ev.severity));
      let source = shown(ev.source);
      if (ev.device) {
        const a = el('a');
        a.href = `/devices/${encodeURIComponent(ev.device)}`;
        a.append(source);
        source = a;
      }
      cell(row, 'Source', source).className = 'src';
      const what = cell(row, 'Event', (() => { const b = el('span', 'what'); b.append(shown(ev.type)); return b; })());
      if (ev.simulated) what.append(' ', el('span', 'tag', 'simulated'));
      const fields = el('span', 'fields');
      fields.append(shown(ev.fields));
      cell(row, 'Details', fields);
      return row;
    };
    const flush = () => {
      drawing = false;
      if (paused || !kept.length) return;
      const rows = document.createDocumentFragment();
      for (const ev of kept.splice(0).slice(-most).reverse()) rows.append(draw(ev));
      list.prepend(rows);
      while (list.rows.length > most) list.deleteRow(-1);
      const none = $('#events-none');
      if (none) none.hidden = true;
      const table = list.closest('[hidden]');
      if (table) table.hidden = false;
    };
    const plan = () => { if (!drawing) { drawing = true; requestAnimationFrame(flush); } };
    const open = () => {
      if (source) return;
      source = new EventSource(list.dataset.stream + (last ? `?after=${encodeURIComponent(last)}` : ''));
      source.onopen = () => tell('Live', 'on');
      source.onerror = () => tell(source && source.readyState === 2 ? 'Stopped: load the page again' : 'Connection lost, trying again …', 'off');
      source.addEventListener('event', (e) => {
        last = e.lastEventId;
        const ev = JSON.parse(e.data);
        if (!ev.skipped && severities.indexOf(ev.severity) < least) return;
        kept.push(ev);
        if (kept.length > most * 2) kept.splice(0, kept.length - most);
        plan();
      });
      source.addEventListener('away', () => tell('The journal cannot be read just now', 'off'));
      source.addEventListener('back', () => tell('Live', 'on'));
      source.addEventListener('ended', () => { close(); location.assign('/sign-in'); });
    };
    const close = () => { if (source) { source.close(); source = null; } };
    const pause = $('#pause');
    if (pause) {
      pause.hidden = false;
      pause.addEventListener('click', () => {
        paused = !paused;
        pause.textContent = paused ? 'Go on' : 'Pause';
        tell(paused ? 'Paused' : 'Live', paused ? 'off' : 'on');
        if (!paused) plan();
      });
    }
    // A browser has few connections to one host: a page that nobody sees holds none.
    document.addEventListener('visibilitychange', () => { if (document.hidden) close(); else open(); });
    if (!document.hidden) open();
  }

  // Pages that follow what they show: a page that has changed is loaded again,
  // unless somebody is in the middle of something there.

  const page = $('main[data-version]');
  if (page) {
    const busy = () => page.contains(document.activeElement) && document.activeElement !== page || $('.act[open]', page) || String(getSelection()) !== '';
    const said = el('p', 'notice changed');
    said.setAttribute('role', 'status');
    said.hidden = true;
    page.append(said);
    const tell = (tone, text) => {
      if (said.dataset.text === text) return;
      said.dataset.text = text;
      said.className = `notice changed tone-${tone}`;
      said.hidden = !text;
      const a = el('a', '', 'Load it again');
      a.href = location.pathname + location.search;
      const span = el('span', '', `${text} `);
      span.append(a);
      said.replaceChildren(span);
    };
    let missed = 0;
    setInterval(async () => {
      if (document.hidden) return;
      try {
        const res = await fetch(location.href, { method: 'HEAD', redirect: 'manual' });
        const now = res.headers.get('X-Page-Version');
        if (res.ok && now) {
          missed = 0;
          if (now === page.dataset.version) tell('info', '');
          else if (busy()) tell('info', 'This page has changed meanwhile.');
          else location.reload();
          return;
        }
      } catch { /* counted below */ }
      // What stands there must not pass for the present when nobody answers.
      if (++missed >= 3) tell('warn', 'This page is not being kept up to date: the server did not answer.');
    }, 2000);
  }

  // Board: figures that change are fetched, never markup.

  const board = $('[data-board]');
  if (board) {
    const refresh = async () => {
      if (document.hidden) return;
      try {
        const res = await fetch(board.dataset.board, { headers: { Accept: 'application/json' } });
        if (res.status === 401) { location.assign('/sign-in'); return; }
        if (!res.ok) return;
        const { figures } = await res.json();
        const read = $('[data-read] time');
        if (read) { read.dateTime = new Date().toISOString(); read.textContent = clock(new Date()); }
        for (const [name, f] of Object.entries(figures)) {
          const box = $(`[data-figure="${name}"]`);
          if (!box) continue;
          const value = $('[data-value]', box), note = $('[data-note]', box);
          if (value && value.textContent !== f.value) value.textContent = f.value;
          if (note && note.textContent !== f.note) note.textContent = f.note;
          for (const tone of ['ok', 'warn', 'bad', 'info', 'unknown']) box.classList.toggle(`tone-${tone}`, f.tone === tone);
        }
      } catch { /* the next round tries again; what stands there says when it was read */ }
    };
    setInterval(refresh, 3000);
    document.addEventListener('visibilitychange', refresh);
  }
})();
