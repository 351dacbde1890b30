import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './dependencies.mjs'

/**
 * The rest: what takes most of the time of all tests, and finds what the others rarely miss. `npm test` leaves it to
 * `npm run test:all` and `.ci/run`.
 */
const REST = [
  'e2e/build-limits',
  'e2e/build-secrets',
  'e2e/builds',
  'e2e/canaries',
  'e2e/commit-status',
  'e2e/crash',
  'e2e/detect',
  'e2e/disk',
  'e2e/drain',
  'e2e/engine-restart',
  'e2e/engines',
  'e2e/failure-table',
  'e2e/frontend',
  'e2e/hostile-repository',
  'e2e/lfs',
  'e2e/load',
  'e2e/master-key',
  'e2e/poisonous-repository',
  'e2e/ports',
  'e2e/quickstart',
  'e2e/reconcile',
  'e2e/registry',
  'e2e/repository-canaries',
  'e2e/runtime-logs',
  'e2e/sample-apps',
  'e2e/stage-life',
  'e2e/stages',
  'e2e/surroundings',
  'e2e/traefik',
  'e2e/traefik-labels',
  'e2e/traefik-labels-switch',
  'e2e/traffic',
  'e2e/two-workers',
  'e2e/viewers',
  'e2e/webhooks-hostile',
  'faults/addresses',
  'faults/automatic-rollback',
  'faults/docker',
  'faults/first-version',
  'faults/kill',
  'faults/removal',
  'faults/workers',
  'integration/git-failures',
  'integration/git-leftovers',
  'integration/git-mirror-size',
  'integration/git-transfers',
  'integration/lfs',
  'integration/private-repositories',
  'integration/runtime-log-sharing',
  'integration/submodules',
].map((name) => `${name}.test.js`)

export const TEST_OPTIONS = {
  all: { type: 'boolean' },
  rest: { type: 'boolean' },
  compiled: { type: 'boolean' },
}

/**
 * Compiled test files that are asked for, in order: those whose path contains one of `parts`, and with `rest` what
 * `npm test` leaves out; without either all but the rest, with `all` all.
 *
 * @throws Error when a part matches none
 */
export function testFiles(parts, { all = false, rest = false } = {}) {
  // Of the sources: what was compiled of one that is gone stays in dist.
  const files = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts'))
    .map((path) => path.replace(/\.ts$/, '.js'))
    .sort()
  const isRest = (path) => REST.includes(path)
  const unknown = REST.find((name) => !files.includes(name))
  if (unknown) throw new Error(`scripts/lib/test-files.mjs names ${unknown}, which is not there`)
  if (all) return files
  const none = parts.find((part) => !files.some((path) => path.includes(part)))
  if (none) throw new Error(`no test file matches ${none}`)
  const isWanted = (path) => parts.some((part) => path.includes(part))
  if (rest) return files.filter((path) => isRest(path) || isWanted(path))
  return files.filter((path) => (parts.length === 0 ? !isRest(path) : isWanted(path)))
}
