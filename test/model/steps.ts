import fc from 'fast-check'
import type { FaultKind } from '../support/fake-docker/faults.js'
import { type Commit, COMMITS } from './memory-git.js'
import { APPS, KINDS } from './world.js'

/** Where requests can be held or spoilt. */
export const PLACES: Readonly<Record<string, { readonly path: RegExp; readonly method?: string }>> = {
  ping: { path: /^\/version/ },
  list: { path: /^\/containers\/json/ },
  build: { path: /^\/build(\?|$)/ },
  image: { path: /^\/images\/[^/]+\/json/ },
  create: { path: /^\/containers\/create/ },
  start: { path: /^\/containers\/[^/]+\/start/ },
  inspect: { path: /^\/containers\/[^/]+\/json/ },
  update: { path: /^\/containers\/[^/]+\/update/ },
  stop: { path: /^\/containers\/[^/]+\/stop/ },
  remove: { path: /^\/containers\/[^/?]+(\?|$)/, method: 'DELETE' },
  'remove-image': { path: /^\/images\/[^/]+(\?|$)/, method: 'DELETE' },
}
/** A request that hangs there is waited for longer than a run lasts. */
const NEVER_HANGS = ['ping', 'stop']
export const HELD = ['fetch', 'build', 'create', 'start', 'inspect', 'update', 'stop', 'remove'] as const
const KINDS_OF_FAULT: readonly FaultKind[] = ['error500', 'reset', 'done-then-error', 'hang', 'error-line']

export type App = { readonly app: number }
export type Process = { readonly process: number }
export type Place = { readonly at: string }
/** One of the places where requests are held now; nothing happens where there is none. */
export type Held = { readonly nth: number }

/** One thing that happens. Data, so that a counterexample can be read. */
export type Step =
  | ({ readonly do: 'deploy'; readonly commit: Commit } & App)
  | ({ readonly do: 'cancel' | 'stop' | 'start' | 'restart stage' | 'roll back' | 'delete' } & App)
  | ({ readonly do: 'claim' | 'heartbeat' | 'rescue' | 'reconcile' | 'watch' | 'clean' } & Process)
  | ({ readonly do: 'crash' | 'quit' | 'start process' | 'stall' | 'resume' } & Process)
  | { readonly do: 'leases end' | 'waits end' | 'watches end' | 'reboot' | 'Docker away' | 'Docker back' }
  | ({ readonly do: 'hold' } & Place)
  | ({ readonly do: 'let go' | 'let fail' | 'open' } & Held)
  | ({ readonly do: 'fault'; readonly kind: FaultKind } & Place)
  | {
      readonly do: 'container'
      readonly how: 'crashes' | 'is stopped' | 'is removed'
      readonly number: number
    }
  | { readonly do: 'together' | 'in turn'; readonly steps: readonly Step[] }

const app = fc.nat(APPS - 1)
const engine = fc.nat(KINDS.lastIndexOf('engine'))
const keeper = fc.integer({ min: KINDS.indexOf('keeper'), max: KINDS.length - 1 })
const any = fc.nat(KINDS.length - 1)
const nth = fc.nat(1)

function of<N extends Step['do'], R extends Record<string, unknown>>(
  name: N,
  rest: { [K in keyof R]: fc.Arbitrary<R[K]> },
): fc.Arbitrary<{ do: N } & R> {
  return fc.record({ do: fc.constant(name), ...rest }) as unknown as fc.Arbitrary<{ do: N } & R>
}

const fault = of('fault', {
  at: fc.constantFrom(...Object.keys(PLACES)),
  kind: fc.constantFrom(...KINDS_OF_FAULT),
}).filter(
  ({ at, kind }) =>
    !(kind === 'hang' && NEVER_HANGS.includes(at)) && (kind !== 'error-line' || at === 'build'),
)

const single: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: of('deploy', { app, commit: fc.constantFrom('good', 'good', ...COMMITS) }) },
  { weight: 12, arbitrary: of('claim', { process: engine }) },
  { weight: 4, arbitrary: of('heartbeat', { process: engine }) },
  { weight: 4, arbitrary: of('cancel', { app }) },
  { weight: 3, arbitrary: of('stop', { app }) },
  { weight: 3, arbitrary: of('start', { app }) },
  { weight: 2, arbitrary: of('restart stage', { app }) },
  { weight: 2, arbitrary: of('roll back', { app }) },
  { weight: 1, arbitrary: of('delete', { app }) },
  { weight: 5, arbitrary: of('rescue', { process: keeper }) },
  { weight: 6, arbitrary: of('reconcile', { process: keeper }) },
  { weight: 4, arbitrary: of('watch', { process: keeper }) },
  { weight: 1, arbitrary: of('clean', { process: keeper }) },
  { weight: 5, arbitrary: of('leases end', {}) },
  { weight: 3, arbitrary: of('waits end', {}) },
  { weight: 2, arbitrary: of('watches end', {}) },
  { weight: 4, arbitrary: of('crash', { process: any }) },
  { weight: 1, arbitrary: of('quit', { process: any }) },
  { weight: 4, arbitrary: of('start process', { process: any }) },
  { weight: 4, arbitrary: of('stall', { process: any }) },
  { weight: 4, arbitrary: of('resume', { process: any }) },
  { weight: 8, arbitrary: of('hold', { at: fc.constantFrom(...HELD) }) },
  { weight: 6, arbitrary: of('let go', { nth }) },
  { weight: 3, arbitrary: of('let fail', { nth }) },
  { weight: 5, arbitrary: of('open', { nth }) },
  { weight: 8, arbitrary: fault },
  { weight: 1, arbitrary: of('reboot', {}) },
  { weight: 1, arbitrary: of('Docker away', {}) },
  { weight: 2, arbitrary: of('Docker back', {}) },
  {
    weight: 4,
    arbitrary: of('container', {
      how: fc.constantFrom('crashes' as const, 'is stopped' as const, 'is removed' as const),
      number: fc.nat(3),
    }),
  },
)

/** How the old worker of a deployment goes on after another one has taken it up. */
const AFTERWARDS = ['is not heard of', 'goes on', 'fails', 'was stalled'] as const

/** The lease of what is held runs out, it is rescued, and an engine takes it up, while the old one may be at it yet. */
const overtaken = fc
  .record({ by: engine, keeper, afterwards: fc.constantFrom(...AFTERWARDS), nth })
  .map(({ by, keeper, afterwards, nth }): Step => {
    const old = KINDS.lastIndexOf('engine') - by
    const stalled = afterwards === 'was stalled'
    return {
      do: 'in turn',
      steps: [
        ...(stalled ? [{ do: 'stall', process: old } as const, { do: 'open', nth } as const] : []),
        { do: 'leases end' },
        { do: 'rescue', process: keeper },
        { do: 'waits end' },
        { do: 'claim', process: by },
        ...(stalled ? [{ do: 'resume', process: old } as const] : []),
        ...(afterwards === 'goes on' ? [{ do: 'let go', nth } as const] : []),
        ...(afterwards === 'fails' ? [{ do: 'let fail', nth } as const] : []),
      ],
    }
  })

export const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 16, arbitrary: single },
  { weight: 2, arbitrary: of('together', { steps: fc.tuple(single, single) }) },
  { weight: 2, arbitrary: overtaken },
)
