// Variants: what is shown of them, their domains, colours and marks.
const MERGED = { inference_ms_merged: true, encoder_ratio_merged: true };
const hidden = new Set((state.get('hide') || '').split(',').filter(Boolean));
const scored = data.variants.filter((variant) => variant.finished > 0);
const indexOf = new Map(data.variants.map((variant, index) => [variant.name, index]));
const colour = (variant) => `var(--c${indexOf.get(variant.name) % 12})`;
const visible = () => scored.filter((variant) => !hidden.has(variant.name));

function shownMetric() {
  const asked = state.get('metric');
  return asked && asked in data.metrics ? asked : data.shown[0];
}

/** Source first, then targets, then what is neither. */
function domainsOf(metric) {
  const all = new Set();
  for (const variant of scored) Object.keys(variant.scores[metric].domains).forEach((d) => all.add(d));
  const first = [data.source, ...(data.targets || [])].filter((domain) => all.has(domain));
  return [...first, ...[...all].filter((domain) => !first.includes(domain))];
}

const PATHS = [
  (r) => `M${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`,
  (r) => `M${-r * 0.9},${-r * 0.9}h${1.8 * r}v${1.8 * r}h${-1.8 * r}z`,
  (r) => `M0,${-1.2 * r}L${1.15 * r},${0.85 * r}H${-1.15 * r}z`,
  (r) => `M0,${-1.3 * r}L${1.3 * r},0L0,${1.3 * r}L${-1.3 * r},0z`,
  (r) => `M0,${1.2 * r}L${1.15 * r},${-0.85 * r}H${-1.15 * r}z`,
];

/** The mark of a variant: its colour, and a shape for who cannot tell that. */
function mark(variant, radius, attributes = {}) {
  const path = PATHS[indexOf.get(variant.name) % PATHS.length](radius);
  return svg('path', { d: path, style: `fill:${colour(variant)}`, ...attributes });
}
