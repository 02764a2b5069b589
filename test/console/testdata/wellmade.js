// Lists what is not well made about the page. It is evaluated by the debugger
// and returns texts; an empty list is a good page.
(() => {
  const faults = [];
  const all = (s, root = document) => [...root.querySelectorAll(s)];
  const name = (e) => `${e.tagName.toLowerCase()}${e.id ? '#' + e.id : ''}${e.className && e.className.baseVal === undefined ? '.' + String(e.className).trim().replace(/\s+/g, '.') : ''} "${(e.textContent || '').trim().slice(0, 40)}"`;
  const shown = (e) => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });

  // What a page says of itself.
  if (document.documentElement.lang !== 'en') faults.push('no language');
  if (!/\S+ · Interlock$/.test(document.title)) faults.push(`title is "${document.title}"`);
  if (all('h1').length !== 1) faults.push(`${all('h1').length} h1`);
  if (all('main').length !== 1) faults.push(`${all('main').length} main`);
  let last = 0;
  for (const h of all('h1, h2, h3, h4, h5, h6').filter(shown)) {
    const level = Number(h.tagName[1]);
    if (level > last + 1) faults.push(`${name(h)} follows level ${last}`);
    last = level;
  }

  // Nothing is within the page that belongs into a file.
  for (const e of all('*')) {
    for (const a of e.attributes) if (a.name === 'style' || a.name.startsWith('on')) faults.push(`${name(e)} has ${a.name}="${a.value}"`);
  }
  for (const e of all('style, script:not([src])')) faults.push(`${name(e)} within the page`);

  // Everything has a name, once.
  const ids = all('[id]').map((e) => e.id);
  for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) faults.push(`id ${id} more than once`);
  for (const e of all('[aria-labelledby], [aria-describedby]')) {
    for (const id of `${e.getAttribute('aria-labelledby') || ''} ${e.getAttribute('aria-describedby') || ''}`.trim().split(/\s+/)) {
      if (!document.getElementById(id)) faults.push(`${name(e)} is named by #${id}, which is not there`);
    }
  }
  for (const e of all('label[for]')) if (!document.getElementById(e.htmlFor)) faults.push(`${name(e)} is for #${e.htmlFor}, which is not there`);
  for (const e of all('input:not([type=hidden]), select, textarea')) {
    if (!e.labels.length && !e.getAttribute('aria-label') && !e.getAttribute('aria-labelledby')) faults.push(`${name(e)} name=${e.name} has no label`);
  }
  for (const e of all('a[href], button, summary')) {
    const text = (e.getAttribute('aria-label') || e.textContent || '').trim();
    if (!text) faults.push(`${e.outerHTML.slice(0, 120)} has no name`);
  }
  for (const e of all('img')) if (!e.hasAttribute('alt')) faults.push(`${name(e)} has no alt`);
  for (const e of all('svg')) if (e.getAttribute('aria-hidden') !== 'true' && e.getAttribute('role') !== 'img') faults.push(`an svg in ${name(e.parentElement)} is neither hidden nor an image`);
  for (const e of all('[tabindex]')) if (e.tabIndex > 0) faults.push(`${name(e)} has tabindex ${e.tabIndex}`);
  for (const e of all('th')) if (!e.scope) faults.push(`${name(e)} has no scope`);

  // It fits the screen, and fingers.
  const page = document.documentElement;
  if (page.scrollWidth > page.clientWidth) {
    const wide = all('body *').filter((e) => shown(e) && e.getBoundingClientRect().right > page.clientWidth + 1 && !e.closest('.table-wrap, pre, .sr')).slice(0, 3).map(name);
    faults.push(`${page.scrollWidth} pixels wide on a screen of ${page.clientWidth}: ${wide.join('; ')}`);
  }
  for (const e of all('button, .button, nav a, summary').filter(shown)) {
    const r = e.getBoundingClientRect();
    if (r.width && (r.height < 24 || r.width < 24) && !e.closest('.sr, .skip, .crumbs')) faults.push(`${name(e)} is ${Math.round(r.width)}×${Math.round(r.height)}`);
  }

  // Text can be read: WCAG 2.2 AA.
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 1;
  const paint = canvas.getContext('2d', { willReadFrequently: true });
  const known = new Map();
  const rgba = (color) => {
    if (!known.has(color)) {
      paint.clearRect(0, 0, 1, 1);
      paint.fillStyle = color;
      paint.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = paint.getImageData(0, 0, 1, 1).data;
      known.set(color, [r, g, b, a / 255]);
    }
    return known.get(color);
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const ground = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) {
      const s = getComputedStyle(at);
      if (s.backgroundImage !== 'none') return null; // a picture or gradient is judged by eyes
      const c = rgba(s.backgroundColor);
      if (c[3] > 0) layers.push(c);
      if (c[3] === 1) break;
    }
    const canvasColor = matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
    return layers.reverse().reduce((under, top) => over(top, under), canvasColor);
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => { const c = v / 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const told = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !shown(e) || e.closest('script, noscript, .sr, :disabled, svg, [aria-disabled=true], option')) continue;
    const s = getComputedStyle(e), under = ground(e);
    if (!under) continue;
    const text = over(rgba(s.color), under);
    const [a, b] = [light(text), light(under)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const big = parseFloat(s.fontSize) >= 24 || parseFloat(s.fontSize) >= 18.66 && Number(s.fontWeight) >= 700;
    if (ratio < (big ? 3 : 4.5) - 0.05) {
      const fault = `${name(e)} has a contrast of ${ratio.toFixed(2)}`;
      if (told.size < 10 && !told.has(fault)) { told.add(fault); faults.push(fault); }
    }
  }

  // No text moves what stands around it, or the terminal that it is copied to.
  const strange = (document.title + document.body.innerText).match(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g);
  if (strange) faults.push(`characters that nobody can see: ${[...new Set(strange)].map((c) => c.charCodeAt(0).toString(16)).join(' ')}`);
  return faults;
})()
