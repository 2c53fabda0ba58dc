// Values as pixels: grey within a window; or heat, from nothing over red to white, whose brightness
// alone already tells more from less.

export interface Range {
  low: number;
  high: number;
}

/** Opaque greys; black where there is no image. */
export function paintGrey(
  values: Float32Array,
  { low, high }: Range,
  into: Uint8ClampedArray,
): void {
  const scale = 255 / (high - low || 1);
  for (let i = 0, at = 0; i < values.length; i += 1, at += 4) {
    const value = values[i] ?? Number.NaN;
    const grey = Number.isNaN(value) ? 0 : (value - low) * scale;
    into[at] = grey;
    into[at + 1] = grey;
    into[at + 2] = grey;
    into[at + 3] = 255;
  }
}

/** Of the range: what is less stays clear over an image, and from where the opacity is whole. */
const [CLEAR, WHOLE] = [0.12, 0.4];

/** Heat over what lies below; of full opacity, alone. */
export function paintHeat(
  values: Float32Array,
  { low, high }: Range,
  opacity: number,
  into: Uint8ClampedArray,
): void {
  for (let i = 0, at = 0; i < values.length; i += 1, at += 4) {
    const share = ((values[i] ?? Number.NaN) - low) / (high - low || 1);
    if (!(share > 0)) {
      into[at + 3] = 0;
      continue;
    }
    const t = Math.min(1, share);
    into[at] = 60 + 585 * t;
    into[at + 1] = 510 * (t - 0.33);
    into[at + 2] = 765 * (t - 0.66);
    into[at + 3] = opacity < 1 ? 255 * opacity * Math.min(1, (t - CLEAR) / (WHOLE - CLEAR)) : 255;
  }
}

/** The same ramp as a CSS gradient, for the legend. */
export const HEAT_CSS = "linear-gradient(90deg,#3c0000,#ff0000 33%,#ffab00 66%,#ffff00 80%,#fff)";

/** The share of a volume's values that are below: its window where no unit tells one. */
export function usualRange(stored: Int16Array, [slope, intercept]: [number, number]): Range {
  const sample: number[] = [];
  const every = Math.max(1, Math.floor(stored.length / 20_000));
  for (let i = 0; i < stored.length; i += every) sample.push(stored[i] ?? 0);
  sample.sort((a, b) => a - b);
  const at = (share: number) =>
    (sample[Math.floor(share * (sample.length - 1))] ?? 0) * slope + intercept;
  return { low: at(0.02), high: Math.max(at(0.02) + 1, at(0.995)) };
}
