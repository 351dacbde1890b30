import { type Package, uses } from './package-json.js'
import type { Images } from './detected-build.js'

/** Where frameworks keep what their next build need not make again, below the package's folder. */
const CACHES: readonly (readonly [name: string, folder: string])[] = [
  ['next', '.next/cache'],
  ['@angular/cli', '.angular/cache'],
  ['gatsby', '.cache'],
  ['astro', 'node_modules/.astro'],
  ['nx', '.nx/cache'],
  ['turbo', '.turbo'],
  // By find-cache-dir: babel-loader, terser, ESLint, Parcel's plugins.
  ['react-scripts', 'node_modules/.cache'],
  ['@vue/cli-service', 'node_modules/.cache'],
  ['webpack', 'node_modules/.cache'],
  ['@docusaurus/core', 'node_modules/.cache'],
]

/**
 * Options of a step that builds, with a space at their end: caches of its frameworks that stay from one build to the next,
 * for this app alone. Empty where the engine's builder has none.
 */
export function cacheMounts(packages: readonly Package[], { cache }: Images, folder: string): string {
  if (cache === undefined) return ''
  const found = CACHES.filter(([name]) => packages.some((one) => uses(one, name))).map(([, path]) => path)
  const mount = (path: string) =>
    `--mount=type=cache,id=${cache}-${path.replace(/\W+/g, '-')},target=${folder}/${path},sharing=locked `
  return [...new Set(found)].map(mount).join('')
}
