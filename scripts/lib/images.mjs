import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureImage } from './docker-api.mjs'
import { ROOT } from './dependencies.mjs'
import { runQuietly } from './run.mjs'

/** The base of examples/hello: a web server for static files in one static binary that npm brings. */
export async function ensureStaticImage() {
  const name = `@esbuild/linux-${process.arch}`
  const require = createRequire(join(ROOT, 'package.json'))
  const { version } = require(`${name}/package.json`)
  const dockerfile = [
    'FROM scratch',
    'COPY esbuild /esbuild',
    'WORKDIR /www',
    'EXPOSE 8000',
    'CMD ["/esbuild", "--servedir=/www", "--serve=0.0.0.0:8000", "--watch=forever"]',
    '',
  ].join('\n')
  const binary = () => ({ esbuild: readFileSync(require.resolve(`${name}/bin/esbuild`)) })
  await ensureImage('longshore/static:local', version, dockerfile, binary)
}

/** The base of the tests' apps: busybox and nothing else. Taken from Debian's package, which is not installed. */
export async function ensureTestImage() {
  const folder = mkdtempSync(join(tmpdir(), 'longshore-busybox-'))
  try {
    const dockerfile = 'FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\nENV PATH=/bin\n'
    // Looked for when the image is not there: Debian's package may have to be fetched.
    await ensureImage('longshore-test/busybox:local', '1', dockerfile, async () => ({
      busybox: readFileSync(await findBusybox(folder)),
    }))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function findBusybox(folder) {
  if (isStatic('/bin/busybox')) return '/bin/busybox'
  if (spawnSync('apt-get', ['download', 'busybox-static'], { cwd: folder }).status !== 0) {
    await runQuietly('apt-get update', 'apt-get', ['update'])
    await runQuietly('busybox-static', 'apt-get', ['download', 'busybox-static'], { cwd: folder })
  }
  const file = readdirSync(folder).find((name) => name.endsWith('.deb'))
  spawnSync('dpkg-deb', ['-x', join(folder, file), folder])
  return ['bin/busybox', 'usr/bin/busybox'].map((path) => join(folder, path)).find(isStatic)
}

/** An ELF file that names no interpreter runs in an empty image. */
function isStatic(path) {
  try {
    return !readFileSync(path).subarray(0, 4096).includes('ld-linux')
  } catch {
    return false
  }
}
