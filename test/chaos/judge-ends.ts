import type { Apps } from './apps.js'
import type { Change, GiveBack } from './audit.js'
import type { Processes } from './processes.js'
import { KINDS, type Version } from './versions.js'

const IN_FLIGHT = ['CLONING', 'BUILDING', 'STARTING', 'ROUTING']
const SERVED = ['RUNNING', 'RETIRED']
const LOST = 'the worker that held it stopped'
/** Why else a deployment may go back: by a stop with SIGTERM, and when it is too far to make way. */
const HANDED_OVER = /this worker is stopping|a newer deployment replaces it/

/** All that was written of one deployment. */
export interface History {
  readonly id: string
  readonly changes: readonly Change[]
  readonly last: Change
  readonly version: Version | undefined
}

export function historiesOf(changes: readonly Change[], { versions }: Apps): History[] {
  const byRef = new Map([...versions.values()].map((version) => [version.ref, version]))
  const grouped = new Map<string, Change[]>()
  for (const change of changes) grouped.set(change.id, [...(grouped.get(change.id) ?? []), change])
  return [...grouped].flatMap(([id, all]) => {
    const last = all.at(-1)
    if (!last) return []
    const version = versions.get(last.commitSha ?? '') ?? byRef.get(last.ref ?? '')
    return [{ id, changes: all, last, version }]
  })
}

/** What is wrong with how deployments ended: for another fault than their own, or well in spite of it. */
export function judgeEnds(histories: readonly History[], processes: Processes): string[] {
  return histories.flatMap((history) => {
    const { id, last, version } = history
    const said = `${id} of ${version?.page ?? 'no version'}`
    if (last.status === 'FAILED' || last.status === 'ROLLED_BACK') {
      if (version && (KINDS[version.kind].codes as readonly string[]).includes(last.code ?? '')) return []
      if (last.code === 'ENGINE_CRASH_LOOP') return judgeCrashLoop(history, said, processes)
      return [`${said} ended ${last.status} ${last.code}: ${last.message}`]
    }
    const isWrong = version && SERVED.includes(last.status) && !KINDS[version.kind].serves
    return isWrong ? [`${said} came to serve`] : []
  })
}

/** Each of its attempts has to have met the death or the stall of its process. */
function judgeCrashLoop({ changes, last }: History, said: string, processes: Processes): string[] {
  const claims = changes.filter(({ status, owner }) => status === 'CLONING' && owner !== null)
  const met = claims.filter((claim) => {
    const next = changes.find(({ epoch }) => epoch > claim.epoch)
    return processes.wasAway(claim.owner ?? '', claim.at, next?.at ?? last.at)
  })
  return met.length >= last.attempt
    ? []
    : [`${said}: ${last.message} In fact ${met.length} of ${claims.length}.`]
}

/** Claims that were taken from a process that was well, and other errors for which a deployment was tried again. */
export function judgeGiveBacks(
  giveBacks: readonly GiveBack[],
  histories: readonly History[],
  processes: Processes,
): string[] {
  const known = new Map(histories.map((history) => [history.id, history]))
  return giveBacks.flatMap(({ id, epoch, at, reason }) => {
    if (HANDED_OVER.test(reason)) return []
    const history = known.get(id)
    const claim = history?.changes.findLast(
      (change) => change.epoch < epoch && change.owner !== null && IN_FLIGHT.includes(change.status),
    )
    const first = history?.changes.find((change) => change.epoch === claim?.epoch && change.owner !== null)
    const isMet = claim && first && processes.wasAway(claim.owner ?? '', first.at, at)
    if (reason === LOST && isMet) return []
    return [`${id} of ${history?.version?.page} went back: ${reason} (held by ${claim?.owner ?? 'nobody'})`]
  })
}

/** How many deployments ended how, with their codes. */
export function countEnds(histories: readonly History[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { last } of histories) {
    const withCode = last.status === 'FAILED' ? `FAILED ${last.code}` : last.status
    const name = last.status === 'PENDING' ? 'deleted before their turn' : withCode
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return counts
}
