import type { Apps, ChaosApp } from './apps.js'
import type { Change, Switch } from './audit.js'
import type { History } from './judge-ends.js'
import type { Processes } from './processes.js'
import type { Answer } from './visitors.js'

/** Between the first and the last write of a transaction. */
const TRANSACTION_MS = 500

/** When a page may be answered at a host. */
interface Stretch {
  readonly page: string
  readonly from: number
  /** A later version was announced. */
  until: number
  /** Between these the host has to answer, unless the app itself ends. */
  readonly announced: number
  readonly ended: number
}

export interface Judgement {
  readonly sent: number
  /** While the process that routes was away. */
  readonly excused: number
  readonly failed: number
  readonly wrong: number
  readonly broken: string[]
}

/**
 * Which answers should not have come: none from an app that serves all the while, or whose version is announced as
 * RUNNING; and one of a version out of its time.
 */
export function judgeAnswers(
  answers: readonly Answer[],
  { apps, switches, histories }: { apps: Apps; switches: readonly Switch[]; histories: readonly History[] },
  processes: Processes,
): Judgement {
  const steady = new Set(apps.all.filter(({ isSteady }) => isSteady).map(({ host }) => host))
  const stages = new Map(apps.all.map((app) => [app.host, stretchesOf(app, switches, histories)]))
  const mayAnswer = ({ host, page, sentAt, endedAt }: Answer) =>
    stages.get(host)?.some((one) => one.page === page && one.from <= endedAt && sentAt <= one.until) ?? false
  const mustAnswer = ({ host, sentAt, endedAt }: Answer) =>
    steady.has(host) ||
    (stages.get(host)?.some((one) => one.announced <= sentAt && endedAt <= one.ended) ?? false)
  const judged = { sent: answers.length, excused: 0, failed: 0, wrong: 0, broken: [] as string[] }
  for (const answer of answers) {
    const { host, page, failure, sentAt, endedAt } = answer
    if (failure === null ? mayAnswer(answer) : !mustAnswer(answer)) continue
    if (processes.isExcused(sentAt, endedAt)) judged.excused++
    else {
      if (failure === null) judged.wrong++
      else judged.failed++
      const at = `at ${new Date(sentAt).toISOString()} for ${Math.round(endedAt - sentAt)} ms`
      const what = failure ?? `"${page}" out of its time`
      judged.broken.push(`${host} answered ${what} ${at}. Addresses then: ${addressesAt(sentAt, histories)}`)
    }
  }
  return judged
}

/** Who had which, and since when: one that has passed to another app's container shows here. */
function addressesAt(at: number, histories: readonly History[]): string {
  const then = histories.flatMap(({ id, changes, version }) => {
    const last = changes.findLast((change) => change.at <= at)
    if (!last?.addresses) return []
    return [
      `${id} (${version?.page}) ${last.addresses.join()} ${last.status} ${Math.round(at - last.at)} ms ago`,
    ]
  })
  return then.join('; ')
}

function stretchesOf(
  { stageId, deletedAt }: ChaosApp,
  switches: readonly Switch[],
  histories: readonly History[],
): Stretch[] {
  const known = new Map(histories.map((history) => [history.id, history]))
  const own = switches.filter((one) => one.stageId === stageId)
  const stretches: Stretch[] = []
  for (const [index, { at, id, stopped }] of own.entries()) {
    const history = known.get(id ?? '')
    if (!history?.version) continue
    const { page, kind } = history.version
    const later = history.changes.filter((change) => change.at >= at - TRANSACTION_MS)
    const isRunning = ({ status, shownAs }: Change) => status === 'RUNNING' && shownAs === null
    const announced = later.find(isRunning)?.at ?? Infinity
    const left = later.find((change) => change.at > announced && change.status !== 'RUNNING')?.at
    const ends = [
      left,
      own[index + 1]?.at,
      deletedAt ?? undefined,
      stopped || kind === 'ends later' ? 0 : undefined,
    ]
    const ended = Math.min(...ends.map((end) => end ?? Infinity))
    for (const before of stretches) before.until = Math.min(before.until, announced)
    stretches.push({ page, from: at - TRANSACTION_MS, until: Infinity, announced, ended })
  }
  return stretches
}
