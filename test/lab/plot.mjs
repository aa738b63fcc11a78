/**
 * A plot of some series over time as an SVG file: one panel for each, one below the other, all over the same seconds.
 */
const WIDTH = 900;
const PANEL_HEIGHT = 110;
const GAP = 34;
const LEFT = 90;
const COLOURS = ['#1f5fa8', '#c2571a', '#2e7d32', '#7b1fa2'];

function escape(text) {
  return String(text).replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function label(value) {
  return value >= 1000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));
}

function panel({ title, unit, lines }, at, seconds) {
  const top = at * (PANEL_HEIGHT + GAP) + GAP;
  const most = Math.max(1e-9, ...lines.flatMap(({ points }) => points.map(([, value]) => value))) * 1.05;
  const x = (time) => LEFT + (WIDTH - LEFT - 20) * (time / seconds);
  const y = (value) => top + PANEL_HEIGHT * (1 - value / most);
  const drawn = lines.map(({ name, points }, index) => {
    const colour = COLOURS[index % COLOURS.length];
    const path = points.map(([time, value]) => `${x(time).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
    return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="1.3"/>`
      + `<text x="${LEFT + 260 + index * 140}" y="${top - 6}" fill="${colour}">${escape(name)}</text>`;
  });
  return [
    `<text x="${LEFT}" y="${top - 6}" font-weight="bold">${escape(`${title}, ${unit}`)}</text>`,
    `<rect x="${LEFT}" y="${top}" width="${WIDTH - LEFT - 20}" height="${PANEL_HEIGHT}" fill="none" stroke="#999"/>`,
    `<text x="${LEFT - 6}" y="${top + 10}" text-anchor="end">${label(most)}</text>`,
    `<text x="${LEFT - 6}" y="${top + PANEL_HEIGHT}" text-anchor="end">0</text>`,
    ...drawn,
  ].join('\n');
}

/**
 * @param panels `{title, unit, lines: [{name, points: [[second, value], …]}]}`, each with its own scale from 0
 * @returns the text of the file
 */
export function plot(panels, seconds) {
  const height = panels.length * (PANEL_HEIGHT + GAP) + GAP;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${WIDTH}" height="${height}" fill="white"/>`,
    ...panels.map((each, at) => panel(each, at, seconds)),
    `<text x="${LEFT}" y="${height - 12}">0 s</text>`,
    `<text x="${WIDTH - 20}" y="${height - 12}" text-anchor="end">${label(seconds)} s</text>`,
    '</svg>\n',
  ].join('\n');
}
