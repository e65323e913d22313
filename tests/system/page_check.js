/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 * Put behind the page's own scripts by page.py: leaves in the document, as JSON, what each plot holds and
 * how much of its canvas is painted. */
'use strict';

function painted(canvas) {
	const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
	const colours = new Set();
	let n = 0;
	for (let i = 0; i < data.length; i += 4)
		if (data[i + 3] > 0) {
			n++;
			colours.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
		}
	return {part: n / (data.length / 4), colours: colours.size};
}

const seen = [...document.querySelectorAll('canvas')].map(canvas => {
	const chart = Chart.getChart(canvas);
	return {
		kind: canvas.dataset.kind, title: canvas.ariaLabel, painted: painted(canvas),
		labels: chart.data.labels.map(l => Array.isArray(l) ? l.join(' ') : l),
		datasets: chart.data.datasets.map(d => ({label: d.label, data: d.data})),
		scales: Object.fromEntries(Object.values(chart.scales).map(s => [s.id, s.type])),
	};
});
const pre = document.createElement('pre');
pre.id = 'seen';
pre.textContent = JSON.stringify({
	plots: seen, text: document.body.innerText, width: document.documentElement.scrollWidth,
	window: innerWidth,	fetched: performance.getEntriesByType('resource').map(r => r.name),
});
document.body.append(pre);
