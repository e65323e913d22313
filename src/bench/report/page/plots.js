/* SPDX-License-Identifier: BSD-3-Clause
 * Numbers for people, and the plots: each function below makes the configuration of one chart from
 * entries of the document. Data stay in the document's units; axes and tips scale them. */
'use strict';

const PARTS = ['user', 'nice', 'system', 'irq', 'softirq', 'steal', 'guest'];
const QUANTILES = [['p50', 0.5], ['p90', 0.9], ['p99', 0.99], ['p99.9', 0.999], ['p99.99', 0.9999]];
const LINES_WITH_LEGEND = 16; // more would be taller than the plot
const POINTS_SHOWN = 60; // more points of a line are a smear
const LOG_FROM = 20; // a tail this many times the median needs a logarithmic axis

const isNumber = x => typeof x === 'number' && isFinite(x);
const list = x => Array.isArray(x) ? x : [];

/* ---- numbers ---- */

/* What a number is divided by, and the prefix that says so. Seconds go down, everything else up. */
function prefixOf(value, unit) {
	const a = Math.abs(value);
	const steps = unit === 's'
		? [[1, ''], [1e-3, 'm'], [1e-6, 'µ'], [1e-9, 'n']]
		: [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k'], [1, '']];
	const fits = steps.find(([step]) => a >= step * 0.99995);
	if (unit === '' && a < 1e5)
		return [1, ''];
	return a === 0 ? [1, ''] : fits || steps[steps.length - 1];
}

function digits(x, n) {
	if (Number.isInteger(x) && Math.abs(x) < 1e5)
		return String(x);
	return Math.abs(x) >= 10 ** n ? x.toFixed(0) : x.toPrecision(n);
}

/* Without zeros at the end. */
const plain = (x, n) => String(Number(digits(x, n)));

function unitText(prefix, unit) {
	if (unit === '1/s')
		return prefix + '/s';
	return prefix + unit;
}

function human(value, unit, n = 4) {
	if (!isNumber(value))
		return '–';
	const [step, prefix] = prefixOf(value, unit);
	const text = unitText(prefix, unit);
	return digits(value / step, n) + (text === '' ? '' : '\u00a0' + text);
}

const percent = (x, n = 3) => isNumber(x) ? digits(x * 100, n) + '\u00a0%' : '–';
const nanoseconds = x => isNumber(x) ? human(x / 1e9, 's', 3) : '–';

/* What lost requests reach down to is only known to be above the timeout. */
const isBeyond = (l, key) => list(l.beyond).includes(key);
const latencyText = (l, key) => isBeyond(l, key) ? '>\u00a0' + nanoseconds(l.timeout) : nanoseconds(l[key]);
/* The same of a figure, whose values then are null. */
const figureText = (f, key, n) => f[key] === null && isNumber(f.above)
	? '>\u00a0' + human(f.above, f.unit, n) : human(f[key], f.unit, n);

/* ---- names ---- */

/* The labels in which entries differ. */
function apart(entries) {
	const labels = entries.map(e => e.labels || {});
	return [...new Set(labels.flatMap(Object.keys))].filter(k => labels.some(l => l[k] !== labels[0][k]));
}

/* How entries of one plot are told apart: by name where names differ, and by the labels that do.
 * Gives a text an entry, all different, and what they have in common. */
function tell(entries) {
	const labels = entries.map(e => e.labels || {});
	const different = apart(entries);
	const pair = (l, key) => key + '\u00a0' + l[key];
	const named = entries.some(e => e.name !== entries[0].name);
	const seen = new Map();
	const texts = entries.map((e, i) => {
		const words = different.filter(k => k in labels[i]).map(k => pair(labels[i], k));
		if (named && e.name !== undefined)
			words.unshift(e.name);
		const text = words.join(', ') || e.name || 'all';
		seen.set(text, (seen.get(text) || 0) + 1);
		return seen.get(text) > 1 ? text + ' #' + seen.get(text) : text;
	});
	return {texts, common: Object.keys(labels[0]).filter(k => !different.includes(k))
		.map(k => pair(labels[0], k)).join(', ')};
}

/* Lines of a label beside an axis; what is too long for any axis is cut, the table has it whole. */
function wrap(text) {
	const lines = [''];
	for (const word of text.split(/(?<=, )|(?<= )/)) {
		if (lines[lines.length - 1].length + word.length > 24 && lines[lines.length - 1] !== '')
			lines.push('');
		lines[lines.length - 1] += word.length > 30 ? word.slice(0, 29) + '…' : word;
	}
	return lines.slice(0, 3).map(l => l.trim());
}

/* ---- axes and colours ---- */

const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const colour = i => css('--c' + (i % 8 + 1));

function valueAxis(greatest, unit, more = {}) {
	const [step, prefix] = prefixOf(greatest, unit);
	const text = unitText(prefix, unit);
	return {
		beginAtZero: true,
		title: {display: text !== '', text},
		ticks: {callback: v => String(Number((v / step).toPrecision(6))), maxTicksLimit: 8},
		...more,
	};
}

const maximum = values => values.filter(isNumber).reduce((a, b) => Math.max(a, b), 0);

function common() {
	Chart.defaults.animation = false;
	Chart.defaults.maintainAspectRatio = false;
	Chart.defaults.color = css('--soft');
	Chart.defaults.borderColor = css('--line');
	Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
	Chart.defaults.font.size = 12;
	Chart.defaults.plugins.legend.labels.usePointStyle = true;
	Chart.defaults.plugins.legend.labels.boxHeight = 7;
}

/* ---- plots ---- */

/* Medians as bars, from the least to the greatest repeat as a thin bar over each. */
function figuresPlot(figures, texts) {
	const unit = figures[0].unit;
	const top = maximum(figures.flatMap(f => [f.median, f.max]));
	return {
		type: 'bar',
		data: {
			labels: texts.map(wrap),
			datasets: [{
				label: 'median', data: figures.map(f => f.median), grouped: false, order: 1,
				backgroundColor: colour(0), borderRadius: 3, maxBarThickness: 24,
			}, {
				label: 'least to greatest', data: figures.map(f => [f.min, f.max]), grouped: false,
				order: 0, backgroundColor: css('--ink'), barThickness: 3, minBarLength: 2,
			}],
		},
		options: {
			indexAxis: 'y',
			interaction: {mode: 'index', axis: 'y', intersect: false},
			scales: {x: valueAxis(top, unit), y: {grid: {display: false}, ticks: {autoSkip: false}}},
			plugins: {tooltip: {callbacks: {
				title: at => texts[at[0].dataIndex],
				label: at => figureTip(figures[at.dataIndex], at.datasetIndex),
			}}},
		},
	};
}

function figureTip(f, dataset) {
	if (dataset === 0)
		return 'median ' + figureText(f, 'median');
	return human(f.min, f.unit) + ' to ' + human(f.max, f.unit) + ', ' + times(list(f.values).length);
}

const times = n => n === 1 ? 'one repeat' : n + ' repeats';

/* Medians over a label that counts something, a line for each set of the other labels, least and greatest
 * repeat in the tip. */
function overPlot(lines, texts, key) {
	const all = lines.flat();
	const counts = [...new Set(all.map(f => Number(f.labels[key])))].sort((a, b) => a - b);
	return {
		type: 'line',
		data: {datasets: lines.map((line, i) => ({
			label: texts[i], data: line.map(f => ({x: Number(f.labels[key]), y: f.median})),
			borderColor: colour(i), backgroundColor: colour(i), borderWidth: 1.8, pointRadius: 3,
		}))},
		options: {
			interaction: {mode: 'nearest', axis: 'x', intersect: false},
			scales: {
				x: {
					type: 'logarithmic', min: counts[0], max: counts[counts.length - 1],
					title: {display: true, text: key},
					afterBuildTicks: axis => { axis.ticks = counts.map(value => ({value})); },
					ticks: {callback: String, autoSkip: false},
				},
				y: valueAxis(maximum(all.map(f => f.median)), all[0].unit),
			},
			plugins: {
				legend: {display: lines.length > 1 && lines.length <= LINES_WITH_LEGEND},
				tooltip: {callbacks: {
					title: at => at[0].parsed.x + ' ' + key,
					label: at => at.dataset.label + ': ' +
						human(at.parsed.y, all[0].unit) + ', ' + figureTip(lines[at.datasetIndex][at.dataIndex], 1),
				}},
			},
		},
	};
}

/* A series over time a line. */
function intervalsPlot(series, texts) {
	const points = series.map(s => list(s.times).map((x, i) => ({x, y: list(s.values)[i]})));
	const unit = series[0].unit;
	return {
		type: 'line',
		data: {datasets: series.map((s, i) => ({
			label: texts[i], data: points[i], borderColor: colour(i), backgroundColor: colour(i),
			borderWidth: 1.8, pointRadius: points[i].length > POINTS_SHOWN ? 0 : 2, spanGaps: true,
		}))},
		options: {
			interaction: {mode: 'nearest', axis: 'x', intersect: false},
			scales: {
				x: {type: 'linear', title: {display: true, text: 'seconds since the measurement began'}},
				y: valueAxis(maximum(series.flatMap(s => list(s.values))), unit),
			},
			plugins: {
				legend: {display: series.length > 1 && series.length <= LINES_WITH_LEGEND},
				tooltip: {callbacks: {
					title: at => human(at[0].parsed.x, 's'),
					label: at => at.dataset.label + ': ' + human(at.parsed.y, unit),
				}},
			},
		},
	};
}

/* One value a repeat, a line for each set of the other labels. */
function repeatsPlot(lines, texts) {
	const unit = lines[0][0].unit;
	const number = s => Number(s.labels.repeat);
	return {
		type: 'line',
		data: {datasets: lines.map((line, i) => ({
			label: texts[i],
			data: line.map(s => ({x: number(s), y: s.values[0]})).sort((a, b) => a.x - b.x),
			borderColor: colour(i), backgroundColor: colour(i), borderWidth: 1.8, pointRadius: 3,
		}))},
		options: {
			interaction: {mode: 'nearest', axis: 'x', intersect: false},
			scales: {
				x: {type: 'linear', title: {display: true, text: 'repeat'}, ticks: {precision: 0}},
				y: valueAxis(maximum(lines.flat().flatMap(s => s.values)), unit),
			},
			plugins: {
				legend: {display: lines.length > 1 && lines.length <= LINES_WITH_LEGEND},
				tooltip: {callbacks: {
					title: at => 'repeat ' + at[0].parsed.x,
					label: at => at.dataset.label + ': ' + human(at.parsed.y, unit),
				}},
			},
		},
	};
}

/* Points {x: 1/(1-p), y: ns} of a distribution: below y lies the fraction p. A bucket stands at its
 * middle; how wide it is follows from the error the histogram states. The last point is the greatest that came
 * back: the line ends where the lost begin. */
function distribution(l) {
	const sub = isNumber(l.error) && l.error > 0 ? 0.5 / l.error : Infinity;
	const width = from => from < sub ? 1 : 2 ** Math.floor(Math.log2(from)) / sub;
	if (!isNumber(l.max))
		return []; // none came back
	const lost = isNumber(l.lost) ? l.lost : 0;
	const all = l.count + lost;
	const points = [{x: 1, y: l.min}];
	let below = 0;
	for (const [from, n] of list(l.buckets)) {
		below += n;
		if (below < l.count)
			points.push({x: all / (all - below),
				y: Math.min(l.max, Math.max(l.min, from + (width(from) - 1) / 2))});
	}
	if (points.length === 1)
		for (const [key, p] of QUANTILES)
			if (isNumber(l[key]) && all * (1 - p) >= 1)
				points.push({x: 1 / (1 - p), y: l[key]});
	points.push({x: lost > 0 ? all / lost : Math.max(all, 1), y: l.max});
	return points;
}

function percentileTick(x) {
	if (x === 2)
		return '50\u00a0%';
	const nines = Math.round(Math.log10(x));
	return (nines === 0 ? '0' : nines === 1 ? '90' : '99' + (nines > 2 ? '.' + '9'.repeat(nines - 2) : '')) +
		'\u00a0%';
}

function latenciesPlot(latencies, texts) {
	const tail = Math.max(...latencies.map(l => (l.max ?? 0) / Math.max(l.p50 ?? l.min ?? 1, 1)));
	const most = Math.max(10, ...latencies.map(l => l.count));
	const ticks = [1, 2];
	for (let x = 10; x <= most; x *= 10)
		ticks.push(x);
	const y = {title: {display: true, text: 'took no longer than'}, ticks: {callback: v => nanoseconds(v)}};
	return {
		type: 'line',
		data: {datasets: latencies.map((l, i) => ({
			label: texts[i], data: distribution(l), borderColor: colour(i), backgroundColor: colour(i),
			borderWidth: 1.8, pointRadius: 0,
		}))},
		options: {
			interaction: {mode: 'nearest', axis: 'x', intersect: false},
			scales: {
				x: {
					type: 'logarithmic', min: 1, max: most,
					title: {display: true, text: 'of all, this part was faster'},
					afterBuildTicks: axis => { axis.ticks = ticks.map(value => ({value})); },
					ticks: {callback: percentileTick, autoSkip: false, maxRotation: 60},
				},
				y: tail > LOG_FROM
					? {...y, type: 'logarithmic', ticks: {callback: logTick}}
					: {...y, beginAtZero: true},
			},
			plugins: {
				legend: {display: latencies.length > 1 && latencies.length <= LINES_WITH_LEGEND},
				tooltip: {callbacks: {
					title: at => percent(1 - 1 / at[0].parsed.x, 5),
					label: at => at.dataset.label + ': ' + nanoseconds(at.parsed.y),
				}},
			},
		},
	};
}

function logTick(v) {
	const first = Math.round(v / 10 ** Math.floor(Math.log10(v) + 1e-9));
	return [1, 2, 5].includes(first) ? human(v / 1e9, 's', 1) : '';
}

function median(values) {
	const v = [...values].sort((a, b) => a - b), half = v.length >> 1;
	return v.length % 2 > 0 ? v[half] : (v[half - 1] + v[half]) / 2;
}

/* A bar an endpoint, and their mean; of several repeats the median, and from least to greatest as a thin
 * bar over it. */
function endpointsPlot(repeats) {
	const entry = repeats[0];
	const names = Object.keys(entry.values || {});
	const each = names.map(n => repeats.map(r => (r.values || {})[n]).filter(isNumber));
	const values = each.map(v => v.length > 0 ? median(v) : null);
	const known = values.filter(isNumber);
	const mean = known.reduce((a, b) => a + b, 0) / known.length;
	const datasets = [{
		label: 'endpoint', data: values, backgroundColor: colour(0), borderRadius: 2,
		maxBarThickness: 46, order: 1, grouped: false,
	}, {
		type: 'line', label: 'mean', data: values.map(() => mean), borderColor: css('--c2'),
		backgroundColor: css('--c2'), borderDash: [5, 4], borderWidth: 1.5, pointRadius: 0, order: 0,
	}];
	if (repeats.length > 1)
		datasets.push({
			label: 'least to greatest', data: each.map(v => [Math.min(...v), Math.max(...v)]), order: 0,
			backgroundColor: css('--ink'), barThickness: 3, minBarLength: 2, grouped: false,
		});
	return {
		type: 'bar',
		data: {labels: names.map(n => n.length > 20 ? n.slice(0, 19) + '…' : n), datasets},
		options: {
			interaction: {mode: 'index', intersect: false},
			scales: {
				x: {grid: {display: false}},
				y: valueAxis(maximum(each.flat()), entry.unit),
			},
			plugins: {
				legend: {display: false},
				tooltip: {callbacks: {
					title: at => names[at[0].dataIndex],
					label: at => at.dataset.label + ' ' + (Array.isArray(at.raw)
						? at.raw.map(x => human(x, entry.unit)).join(' to ') : human(at.parsed.y, entry.unit)),
				}},
			},
		},
	};
}

/* CPUs busy, by what they did. */
function cpuPlot(cpu, texts) {
	const used = PARTS.filter(p => cpu.some(c => c.parts && c.parts[p] > 0));
	return {
		type: 'bar',
		data: {
			labels: texts.map(wrap),
			datasets: used.map(p => ({
				label: p, data: cpu.map(c => (c.parts || {})[p]), stack: 'cpu', maxBarThickness: 24,
				backgroundColor: colour(PARTS.indexOf(p)),
			})),
		},
		options: {
			indexAxis: 'y',
			interaction: {mode: 'index', axis: 'y', intersect: false},
			scales: {
				x: {stacked: true, beginAtZero: true, title: {display: true, text: 'CPUs busy'}},
				y: {stacked: true, grid: {display: false}, ticks: {autoSkip: false}},
			},
			plugins: {tooltip: {callbacks: {
				title: at => texts[at[0].dataIndex],
				label: at => at.dataset.label + ' ' + human(at.parsed.x, ''),
			}}},
		},
	};
}

/* The rates a search tried, one after the other, and what became of them. */
function searchPlot(search) {
	const trials = list(search.trials);
	const all = trials.map((t, i) => ({x: i + 1, y: t.rate}));
	const of = verdict => all.filter((p, i) => trials[i].verdict === verdict);
	const marks = {type: 'scatter', borderWidth: 2, pointRadius: 5, pointHoverRadius: 8};
	const datasets = [
		{...marks, label: 'pass', data: of('pass'), pointStyle: 'circle', order: 0,
			borderColor: css('--good'), backgroundColor: css('--good')},
		{...marks, label: 'fail', data: of('fail'), pointStyle: 'crossRot', order: 0,
			borderColor: css('--bad'), backgroundColor: css('--bad')},
		{label: 'trials', data: all, borderColor: css('--soft'), backgroundColor: css('--soft'),
			borderWidth: 1, pointRadius: 0, pointHitRadius: 0, order: 2},
	];
	if (isNumber(search.result) && all.length > 0)
		datasets.push({label: 'result', order: 1, pointRadius: 0, pointHitRadius: 0, borderWidth: 1.5,
			data: [{x: 1, y: search.result}, {x: all.length, y: search.result}],
			borderColor: css('--c1'), backgroundColor: css('--c1'), borderDash: [6, 4]});
	return {
		type: 'line',
		data: {datasets},
		options: {
			scales: {
				x: {type: 'linear', title: {display: true, text: 'trial'}, ticks: {precision: 0}, min: 0,
					max: all.length + 1},
				y: valueAxis(maximum(all.map(p => p.y)), search.unit),
			},
			plugins: {tooltip: {callbacks: {
				title: at => 'trial ' + at[0].parsed.x,
				label: at => at.dataset.label + ' at ' + human(at.parsed.y, search.unit) + ', loss ' +
					percent((trials[at.parsed.x - 1] || {}).loss),
			}}},
		},
	};
}
