import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { installPackages, ROOT } from './dependencies.mjs'
import { say } from './run.mjs'
import { aptInstall } from './system-packages.mjs'

/** The test that builds examples/frontend and drives it in a browser. */
export const FRONTEND_TEST = 'e2e/frontend.test.js'
export const FRONTEND = join(ROOT, 'examples/frontend')
/** As Debian, Ubuntu, Fedora, Alpine and Google name it. */
const NAMES = ['chromium', 'chromium-browser', 'google-chrome']

/**
 * Installs what the frontend's test needs, and gives the environment that names the browser: as root on a Debian-like
 * system Chromium is installed where there is none. Elsewhere the test is skipped.
 */
export async function ensureFrontend() {
  await installPackages(FRONTEND)
  const browser = findBrowser() ?? (await installBrowser())
  if (browser === null) say('  No Chromium: the test of examples/frontend is skipped.')
  return browser === null ? {} : { TEST_CHROMIUM: browser }
}

function findBrowser() {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  const paths = folders.flatMap((folder) => NAMES.map((name) => join(folder, name)))
  return paths.find((path) => existsSync(path)) ?? null
}

async function installBrowser() {
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return null
  try {
    await aptInstall(['chromium', 'fonts-dejavu-core'])
  } catch (error) {
    say(`  ${error.message.split('\n')[0]}`)
  }
  return findBrowser()
}
