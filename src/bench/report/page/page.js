/* SPDX-License-Identifier: BSD-3-Clause
 * The page: sections from the document that stands in it. Names in the document come from users: they
 * become text nodes and nothing else. */

const TITLES = {
	stream: 'Bulk transfer', rr: 'Requests and responses', frames: 'Frames', rfc2544: 'RFC 2544',
	fair: 'Fairness between endpoints', paths: 'Paths to the wire',
};
const CONDITIONS = {
	host: 'Host', kernel: 'Kernel', cpu: 'CPU', cpus: 'CPUs', governor: 'Governor',
	isolated: 'Isolated CPUs', smt: 'SMT', numa_nodes: 'NUMA nodes', hugepages: 'Huge pages',
	virtualised: 'Virtualised', load: 'CPUs busy before', others: 'Busiest processes before, in CPUs', versions: 'Versions',
};
const TILES_MAX = 6; // more headlines than that head nothing
const BARS_TOGETHER = 8; // figures of one unit share a plot up to here
const TOGETHER_RATIO = 50; // unless the smaller could not be seen beside the greater

const page = document.getElementById('page');
const plots = []; // {canvas, make}

function el(tag, props, ...children) {
	const e = Object.assign(document.createElement(tag), props);
	e.append(...children.filter(c => c !== null && c !== undefined));
	return e;
}

function figure(kind, title, caption, height, make) {
	const canvas = el('canvas', {role: 'img', ariaLabel: title});
	canvas.dataset.kind = kind;
	plots.push({canvas, make});
	const box = el('div', {className: 'plot'}, canvas);
	box.style.height = height + 'px';
	return el('figure', {}, el('h3', {}, title), el('figcaption', {}, caption || '\u00a0'), box);
}

/* Columns: [title, text of a row, is it a number]. */
function table(columns, rows) {
	const cell = (tag, text, number) => text instanceof Node
		? el(tag, {className: number ? 'n' : 't'}, text)
		: el(tag, {className: number ? 'n' : 't'}, String(text));
	const used = columns.filter(([, text], i) => i === 0 || rows.some(r => !['', '–'].includes(text(r))));
	return el('div', {className: 'scroll'}, el('table', {},
		el('thead', {}, el('tr', {}, ...used.map(([t, , n]) => cell('th', t, n)))),
		el('tbody', {}, ...rows.map(r => el('tr', {}, ...used.map(([, text, n]) => cell('td', text(r), n)))))));
}

function groups(entries, key) {
	const found = new Map();
	for (const e of entries)
		found.set(key(e), [...(found.get(key(e)) || []), e]);
	return [...found.values()];
}

const joined = (...texts) => texts.filter(t => t).join(' · ');

/* Height of a plot of lying bars with these labels. */
const barsHeight = texts => 72 + texts.map(t => Math.max(34, 16 * wrap(t).length + 8)).reduce((a, b) => a + b, 0);

/* ---- head ---- */

function duration(s) {
	if (!isNumber(s) || s < 120)
		return human(s, 's', 3);
	return s < 7200 ? Math.floor(s / 60) + ' min ' + Math.round(s % 60) + ' s'
		: Math.floor(s / 3600) + ' h ' + Math.round(s % 3600 / 60) + ' min';
}

function shellWord(w) {
	return /^[\w@%+=:,./-]+$/.test(w) ? w : "'" + String(w).replaceAll("'", "'\\''") + "'";
}

function head(doc) {
	const name = TITLES[doc.instrument] || doc.instrument || 'Result';
	const host = (doc.conditions || {}).host;
	const started = doc.started ? String(doc.started).replace('T', ' ').replace('Z', ' UTC') : null;
	document.title = name + ' · weir bench';
	page.append(el('header', {},
		el('p', {className: 'over'}, 'weir bench ' + (doc.instrument || '')),
		el('h1', {}, name),
		list(doc.command).length > 0
			? el('p', {className: 'command'}, doc.command.map(shellWord).join(' ')) : null,
		el('p', {className: 'soft'}, joined(started, host && 'on ' + host,
			isNumber(doc.seconds) ? 'took ' + duration(doc.seconds) : null))));
}

function notes(doc) {
	const warnings = list(doc.warnings);
	if (doc.complete === false)
		page.append(el('p', {className: 'note'}, el('b', {}, 'Incomplete: '),
			doc.why_incomplete || 'the measurement ended early'));
	if (warnings.length > 0)
		page.append(el('div', {className: 'note', id: 'warnings'}, el('b', {}, 'Know before you believe a figure:'),
			el('ul', {}, ...warnings.map(w => el('li', {}, w)))));
}

function conditionText(key, v) {
	if (v === null || v === undefined)
		return 'not known';
	if (key === 'others' && Array.isArray(v))
		return v.map(o => o.name + '\u00a0' + plain(o.busy, 2)).join(', ') || 'none';
	if (typeof v === 'boolean')
		return v ? 'yes' : 'no';
	if (Array.isArray(v))
		return v.map(x => conditionText('', x)).join(', ') || 'none';
	if (typeof v === 'object')
		return Object.entries(v).filter(([, x]) => x !== null)
			.map(([k, x]) => k.replaceAll('_', ' ') + '\u00a0' + conditionText('', x)).join(', ') || 'none';
	return isNumber(v) ? plain(v, 4) : String(v) || 'none';
}

function conditions(doc) {
	// The counters are there for the warnings.
	const all = Object.entries(doc.conditions || {}).filter(([k]) => k !== 'counters');
	if (all.length === 0)
		return;
	page.append(el('h2', {}, 'Conditions'), el('section', {className: 'card', id: 'conditions'},
		el('dl', {}, ...all.map(([k, v]) => el('div', {}, el('dt', {}, CONDITIONS[k] || k.replaceAll('_', ' ')),
			el('dd', {}, conditionText(k, v)))))));
}

/* ---- figures ---- */

function spread(f) {
	const half = isNumber(f.ci95) && f.mean ? f.ci95 / Math.abs(f.mean) : null;
	return half === null ? '–' : '±\u00a0' + percent(half, 2);
}

function tiles(figures) {
	const {texts} = tell(figures);
	return el('div', {className: 'tiles'}, ...figures.map((f, i) => el('div', {className: 'card tile'},
		el('span', {}, texts[i]), el('b', {}, figureText(f, 'median', 3)),
		el('span', {}, list(f.values).length > 1
			? figureText(f, 'min', 3) + ' to ' + figureText(f, 'max', 3) : times(list(f.values).length)))));
}

const BETTER = {more: 'more is better', less: 'less is better'};

/* What all entries of a table have in common stands above it once. */
function commonNote(entries) {
	const {common} = tell(entries);
	return common ? el('p', {className: 'soft'}, 'All with ' + common + '.') : null;
}

/* The labels in which entries of a table differ. */
function labelsApart(entries) {
	const keys = apart(entries);
	return e => keys.filter(k => k in (e.labels || {})).map(k => k + '\u00a0' + e.labels[k]).join(', ');
}

function figuresTable(figures) {
	return table([
		['Figure', f => f.name],
		['Of', labelsApart(figures)],
		['Median', f => figureText(f, 'median'), true],
		['Least', f => figureText(f, 'min'), true],
		['Greatest', f => figureText(f, 'max'), true],
		['Mean', f => list(f.values).length > 1 ? human(f.mean, f.unit) : '–', true],
		['95 % interval of the mean', spread, true],
		['Repeats', f => list(f.values).length, true],
		['', f => BETTER[f.better] || ''],
	], figures);
}

/* Figures that differ in how many endpoints there were are lines over that number; `rest` gets what is left
 * for bars. How many flows there were in all goes with it. Skew has no line: the greatest of many lies further
 * from the least than that of few, however alike they are; the coefficient of variation is what compares. */
function over(all, rest) {
	const key = 'endpoints';
	const others = f => JSON.stringify(Object.entries(f.labels).filter(([k]) => k !== key && k !== 'flows').sort());
	const plots = [];
	for (const g of groups(all, f => f.name + '\n' + f.unit)) {
		const counted = g.filter(f => Number(f.labels[key]) > 0);
		if (g[0].name === 'skew' && new Set(counted.map(f => f.labels[key])).size > 1)
			continue;
		if (new Set(counted.map(f => f.labels[key])).size < 2) {
			rest.push(...g);
			continue;
		}
		rest.push(...g.filter(f => !counted.includes(f)));
		const lines = groups(counted, others).map(l =>
			l.sort((a, b) => Number(a.labels[key]) - Number(b.labels[key])));
		const {texts, common} = tell(lines.map(l => ({labels: Object.fromEntries(JSON.parse(others(l[0])))})));
		plots.push(figure('over', g[0].name, joined(common, 'median', BETTER[g[0].better]), 260,
			() => overPlot(lines, texts, key)));
	}
	return plots;
}

/* Figures of one unit stand in one plot, unless they are many or too different in size. A bar alone says
 * nothing that its number in the table does not. */
function plotted(figures) {
	const parts = [];
	for (const g of groups(figures, f => f.unit || f.name)) {
		const sizes = g.map(f => Math.abs(f.median)).filter(x => x > 0);
		if (g.length <= BARS_TOGETHER && Math.max(...sizes) <= TOGETHER_RATIO * Math.min(...sizes))
			parts.push(g);
		else
			parts.push(...groups(g, f => f.name));
	}
	return parts.filter(p => p.length > 1);
}

function figures(doc) {
	const all = list(doc.figures);
	page.append(el('h2', {}, 'Figures'));
	if (all.length === 0) {
		page.append(el('p', {className: 'soft'}, 'There are none: nothing was measured to its end.'));
		return;
	}
	if (all.length <= TILES_MAX)
		page.append(tiles(all));
	page.append(el('section', {className: 'card', id: 'figures', style: 'margin-top: 16px'}, commonNote(all),
		figuresTable(all)));
	const rest = [];
	const lines = over(all.filter(f => isNumber(f.median)), rest);
	page.append(el('section', {className: 'grid'}, ...lines, ...plotted(rest).map(g => {
		const {texts, common} = tell(g);
		const names = [...new Set(g.map(f => f.name))];
		const better = new Set(g.map(f => f.better));
		return figure('figures', names.slice(0, 4).join(', ') + (names.length > 4 ? ', …' : ''),
			joined(common, g.every(f => list(f.values).length === 1) ? 'one repeat'
				: 'median of the repeats, and from least to greatest', better.size === 1 && BETTER[g[0].better]),
			barsHeight(texts), () => figuresPlot(g, texts));
	})));
}

/* ---- the rest ---- */

const MODES = {closed: 'closed loop', open: 'due time (open loop)', sent: 'hand-over to the driver'};

/* Between which values a quantile lies, for who points at it. */
function bounds(l, key) {
	if (!(key in (l.low || {})))
		return '';
	if (isBeyond(l, key))
		return 'not known: it is among the ' + human(l.lost, '') + ' that never came back';
	if (!isNumber(l[key]))
		return 'not known: not one of ' + times(l.count).replace(/repeats?/, 'values') + ' can lie above it';
	const [low, high] = [l.low, l.high].map(side => isNumber(side[key]) ? nanoseconds(side[key]) : null);
	return '95 % interval: ' + (low || 'from nowhere') + ' to ' + (high || 'not bounded by so few values');
}

function latencies(doc) {
	const all = list(doc.latencies).filter(l => l.count > 0 || l.lost > 0);
	if (all.length === 0)
		return;
	const quantile = (title, key) => [title, l => el('span', {title: bounds(l, key)}, latencyText(l, key)), true];
	page.append(el('h2', {}, 'Latency'), el('section', {className: 'grid'},
		...groups(all, l => l.name).map(g => {
			const {texts, common} = tell(g);
			const modes = [...new Set(g.map(l => MODES[l.mode] || l.mode))].join(' and ');
			const f = figure('latencies', g[0].name, joined(common, modes,
				'the further right, the rarer: at 99\u00a0% one in a hundred took longer',
				isNumber(g[0].error) && 'within ' + percent(g[0].error, 2)), 340, () => latenciesPlot(g, texts));
			f.className = 'wide';
			return f;
		})), el('section', {className: 'card', id: 'latencies', style: 'margin-top: 16px'}, table([
		['Latency', l => l.name], ['Of', labelsApart(all)], ['From', l => MODES[l.mode] || l.mode || ''],
		['Count', l => human(l.count, ''), true], ['Lost', l => l.lost > 0 ? human(l.lost, '') : '–', true], quantile('Least', 'min'), quantile('Mean', 'mean'),
		...QUANTILES.map(([key]) => quantile(key, key)), quantile('Greatest', 'max'),
	], all)));
}

const repeatOf = e => Number((e.labels || {}).repeat);
const butRepeat = e => ({...e, labels: Object.fromEntries(Object.entries(e.labels || {}).filter(([k]) => k !== 'repeat'))});

function endpoints(doc) {
	const all = list(doc.endpoints);
	if (all.length === 0)
		return;
	const shared = all.filter(e => Object.keys(e.values || {}).length > 1); // one alone has none beside it
	const of = labelsApart(all), plotOf = labelsApart(all.map(butRepeat));
	page.append(el('h2', {}, 'Endpoints beside each other'), commonNote(all) || '', el('section', {className: 'grid'},
		...groups(shared, e => JSON.stringify([e.name, butRepeat(e).labels])).map(g => {
			const middle = key => median(g.map(e => e[key]).filter(isNumber));
			return figure('endpoints', joined(g[0].name, plotOf(g[0])),
				joined('skew ' + percent(middle('skew')) + ', variation ' + percent(middle('cv')) + ', Jain ' +
				(isNumber(middle('jain')) ? middle('jain').toFixed(4) : '–'), g.length > 1 && 'medians of ' + times(g.length)),
				220, () => endpointsPlot(g));
		})));
	page.append(el('p', {className: 'soft'}, 'Skew is the greatest less the least, over the mean (dashed). ' +
		"Jain's index is 1 when all are equal, and 0.9992 with a spread of 10 %: never read it alone. Skew grows with " +
		'the number of endpoints by itself: across numbers compare the variation.'));
	if (all.length > 1)
		page.append(el('section', {className: 'card'}, table([
			['Of', e => joined(e.name, of(e))],
			['Endpoints', e => Object.keys(e.values || {}).length, true],
			['Skew', e => percent(e.skew), true], ['Variation', e => percent(e.cv), true],
			['Jain', e => isNumber(e.jain) ? e.jain.toFixed(4) : '–', true]], all)));
}

/* One value a repeat is no course of time: it is told by the number of the repeat, and where that is not
 * known, or is one, by the figures alone. */
function intervals(doc) {
	const all = groups(list(doc.intervals), s => s.name + '\n' + s.unit);
	const over = all.filter(g => g.some(s => list(s.values).length > 1));
	const single = all.filter(g => !over.includes(g)).map(g => g.filter(s => list(s.values).length === 1 &&
		isNumber(repeatOf(s)))).filter(g => new Set(g.map(repeatOf)).size > 1);
	if (over.length > 0)
		page.append(el('h2', {}, 'Over time'), el('section', {className: 'grid'}, ...over.map(g => {
			const {texts, common} = tell(g);
			return figure('intervals', g[0].name, common, 260, () => intervalsPlot(g, texts));
		})));
	if (single.length > 0)
		page.append(el('h2', {}, 'Repeat by repeat'), el('section', {className: 'grid'}, ...single.map(g => {
			const lines = groups(g, s => JSON.stringify(butRepeat(s).labels));
			const {texts, common} = tell(lines.map(line => butRepeat(line[0])));
			return figure('repeats', g[0].name, common, 260, () => repeatsPlot(lines, texts));
		})));
}

function threadsTable(cpu, texts) {
	const rows = cpu.flatMap((c, i) => list(c.threads).map(t => ({...t, of: texts[i]})));
	return rows.length === 0 ? null : el('details', {}, el('summary', {}, 'Threads'), table([
		['Thread', t => t.name], ['Of', t => t.of], ['Role', t => t.role || ''], ['Thread id', t => t.tid, true],
		['Busy', t => percent(t.busy), true], ['Waited for a CPU', t => percent(t.waited), true]], rows));
}

function cpu(doc) {
	const all = list(doc.cpu);
	if (all.length === 0)
		return;
	const {texts, common} = tell(all);
	const rows = all.map((c, i) => ({...c, text: texts[i]}));
	const cost = key => c => isNumber(c[key]) ? human(c[key], 's') : '–';
	const f = figure('cpu', 'CPUs of this host, by what they did',
		joined(common, isNumber(all[0].cpus) && 'of ' + all[0].cpus + ' online'), barsHeight(texts),
		() => cpuPlot(all, texts));
	page.append(el('h2', {}, 'Host CPU'), f, el('section', {className: 'card', id: 'cpu'}, table([
		['Of', c => c.text], ['CPUs busy', c => human(c.busy, ''), true],
		['Busiest', c => c.busiest ? 'CPU ' + c.busiest.cpu + ': ' + percent(c.busiest.busy) : '–', true],
		['CPU time per Gbit', cost('per_gbit'), true],
		['CPU time per million frames', cost('per_mframes'), true],
	], rows), threadsTable(all, texts)),
	el('p', {className: 'soft'}, 'softirq is work of the kernel in between, most of it networking; guest is what VMs ' +
		'ran; steal was taken away by a hypervisor below this host.'));
}

function goalText(g) {
	return joined(list(g.changed).length > 0 ? g.preset + ', changed: ' + list(g.changed).join(', ') : g.preset,
		'at most ' + percent(g.loss_ratio) + ' lost in all but ' + percent(g.exceed_ratio) + ' of ' +
		human(g.duration_sum, 's', 3) + ' of trials, ' + human(g.initial_trial_duration, 's', 3) + ' to ' +
		human(g.final_trial_duration, 's', 3) + ' each, within ' + percent(g.width),
		'load of ' + g.load, 'result: ' + g.result, 'waits ' + human(g.learn_wait, 's', 3) + ' to learn, ' +
		human(g.wait, 's', 3) + ' after a trial, ' + human(g.rest, 's', 3) + ' to rest');
}

function searches(doc) {
	const all = list(doc.searches);
	if (all.length === 0)
		return;
	const verdict = t => el('span', {className: t.verdict === 'pass' ? 'pass' : 'fail'}, t.verdict || '–');
	const frames = key => [key[0].toUpperCase() + key.slice(1), t => human(t[key], '', 6), true];
	const of = labelsApart(all);
	page.append(el('h2', {}, 'Searches'), commonNote(all) || '', el('section', {className: 'grid'}, ...all.map(s => {
		const f = figure('searches', joined(s.name, of(s)), 'found ' + human(s.result, s.unit) + ' in ' +
			list(s.trials).length + ' trials; dashed: the result', 260, () => searchPlot(s));
		const rows = list(s.trials).map((t, i) => ({...t, trial: i + 1}));
		if (s.goal)
			f.append(el('p', {className: 'soft'}, 'Goal: ' + goalText(s.goal) + '.'));
		f.append(el('details', {}, el('summary', {}, 'Trials'), table([
			['Trial', t => t.trial, true], ['Rate', t => human(t.rate, s.unit), true],
			['Took', t => human(t.seconds, 's', 3), true], frames('offered'), frames('sent'), frames('received'),
			['Loss', t => percent(t.loss), true], ['', verdict]], rows)));
		return f;
	})));
}

/* ---- drawing ---- */

function draw() {
	common();
	for (const p of plots) {
		if (p.chart)
			p.chart.destroy();
		p.chart = new Chart(p.canvas, p.make());
	}
}

function section(part, doc) {
	try {
		part(doc);
	} catch (problem) {
		console.error(problem);
		page.append(el('p', {className: 'note'}, 'A part of the result (' + part.name +
			') could not be shown: ' + problem.message));
	}
}

/* On paper everything is dark on white, whatever the screen is. */
function onPaper(yes) {
	document.documentElement.classList.toggle('paper', yes);
	draw();
}

const result = JSON.parse(document.getElementById('result').textContent) || {};
for (const part of [head, notes, figures, latencies, endpoints, intervals, searches, cpu, conditions])
	section(part, result);
draw();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
addEventListener('beforeprint', () => onPaper(true));
addEventListener('afterprint', () => onPaper(false));
