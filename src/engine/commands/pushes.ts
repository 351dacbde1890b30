import { type EntityManager } from 'typeorm'
import type { App } from '../../entities/app.js'
import { DeploymentStatus, DeploymentTrigger } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import { Stage } from '../../entities/stage.js'
import {
  Forge,
  type StageDecision,
  type WebhookDelivery,
  WebhookVerdict,
} from '../../entities/webhook-delivery.js'
import { awaitComparison, COMPARING, dropComparison } from '../pushes/comparisons.js'
import {
  deployPush,
  findInProgress,
  findPolled,
  type PushedCommit,
  type QueuedPush,
} from '../pushes/push-deployment.js'
import { recordSeen } from '../pushes/seen.js'
import type { Services } from '../services.js'
import { type StoppedStage, stopStage } from '../traffic/stop-stage.js'
import { type Choice, decide } from '../webhooks/decide.js'
import { summaryOf } from '../webhooks/delivery-summary.js'
import { STALE, type Staleness, stalenessOf, printable } from '../webhooks/delivery-log.js'
import type { ForgeEvent, Push } from '../webhooks/push.js'
import { oneLine } from '../quoted-text.js'

/** What a delivery meant, and what is to be announced of it. */
export interface Outcome {
  readonly found: Pick<
    WebhookDelivery,
    'verdict' | 'reason' | 'ref' | 'beforeSha' | 'commitSha' | 'decisions'
  >
  readonly queued: readonly QueuedPush[]
  /** Stages whose branch was deleted. */
  readonly stopped: readonly StoppedStage[]
  /** Something would have been deployed, had there not been too many in the last minute. */
  readonly isLimited: boolean
}

/** What a forge is called as the one who asked for a deployment. */
const ACTORS: Readonly<Record<Forge, string>> = {
  [Forge.GITHUB]: 'GitHub',
  [Forge.GITLAB]: 'GitLab',
  [Forge.GITEA]: 'Gitea',
  [Forge.BITBUCKET]: 'Bitbucket',
  [Forge.GENERIC]: 'webhook',
}
/** Nothing is deployed. */
export const NONE = { queued: [], stopped: [], isLimited: false }
/** The reason of a push that is over the limit. */
export const LIMITED =
  'more than 30 deliveries in a minute would have deployed: the branch is looked up in a minute (a tag is not: redeliver it)'
const FRESH: Staleness = { isStale: false, passedIn: [] }
const NOTHING = { ref: null, beforeSha: null, commitSha: null, decisions: [] }

/** A delivery that could be read. */
export interface ReadDelivery {
  readonly id: string
  readonly event: ForgeEvent
  /** Somebody asked for it: it is deployed although later ones came before it. */
  readonly isRedelivery: boolean
  /** Who sent it. */
  readonly forge: Forge
  /** Nothing more may be deployed for now. */
  readonly isOverLimit: boolean
}

/** What handling goes by. */
type PushSettings = Pick<Services['settings'], 'drainMs'>

/** Queues what a forge's event asks for, in the caller's transaction. */
export async function handleEvent(
  manager: EntityManager,
  app: App,
  { settings, ...delivery }: ReadDelivery & { readonly settings: PushSettings },
): Promise<Outcome> {
  const { event } = delivery
  if (event.kind === 'ping') {
    return { found: { ...NOTHING, verdict: WebhookVerdict.PONG, reason: 'the webhook works' }, ...NONE }
  }
  if (event.kind === 'other') {
    const reason = printable(`the event "${oneLine(event.what, 60)}" does not deploy`)
    return { found: { ...NOTHING, verdict: WebhookVerdict.IGNORED, reason }, ...NONE }
  }
  if (event.kind === 'unreadable') {
    return { found: { ...NOTHING, verdict: WebhookVerdict.UNREADABLE, reason: event.why }, ...NONE }
  }
  const stages = await lockStages(manager, app.id)
  const answers: Answer[] = []
  const decisions: StageDecision[] = []
  for (const push of event.pushes) {
    const staleness = delivery.isRedelivery ? FRESH : await stalenessOf(manager, app.id, push)
    const of = { ref: push.ref, before: push.before, sha: push.sha, isLate: staleness.isStale }
    for (const choice of await decide(push, rulesOf(app, stages), app.watchPaths)) {
      const stage = stages.get(choice.stageId)
      if (!stage) continue
      const answer = await answerTo(manager, { push, choice, stage, staleness, delivery, settings })
      answers.push(answer)
      const { reason, deploymentId, comparison } = answer
      const said = { stage: choice.stage, reason: printable(reason), deploymentId }
      decisions.push({ ...of, ...said, ...(comparison && { comparison }) })
    }
  }
  return {
    found: { ...aboutFirst(event.pushes), ...summaryOf(decisions), decisions },
    queued: answers.flatMap(({ queued }) => queued ?? []),
    stopped: answers.flatMap(({ stopped }) => stopped ?? []),
    isLimited: answers.some(({ isLimited }) => isLimited),
  }
}

/** Of a delivery that is one too many to be looked at: only what a lookup is asked for instead. */
export function flooded(event: ForgeEvent): Outcome {
  const about = event.kind === 'push' ? aboutFirst(event.pushes) : NOTHING
  const verdict = WebhookVerdict.RATE_LIMITED
  return { ...NONE, found: { ...about, verdict, reason: LIMITED, decisions: [] }, isLimited: true }
}

function aboutFirst([first]: readonly Push[]) {
  return { ref: first?.ref ?? null, beforeSha: first?.before ?? null, commitSha: first?.sha ?? null }
}

/** All of an app, in one order, so that two deliveries do not wait for each other. */
async function lockStages(manager: EntityManager, appId: string): Promise<ReadonlyMap<string, Stage>> {
  const stages = await manager.find(Stage, {
    where: { appId },
    order: { id: 'ASC' },
    lock: { mode: 'for_no_key_update' },
  })
  return new Map(stages.map((stage) => [stage.id, stage]))
}

function rulesOf(app: App, stages: ReadonlyMap<string, Stage>) {
  const byName = [...stages.values()].sort((one, other) => one.name.localeCompare(other.name))
  return byName.map((stage) => ({ ...stage, branch: stage.branch ?? app.branch }))
}

/** What a push does to one stage. */
interface Answer extends Pick<StageDecision, 'reason' | 'deploymentId' | 'comparison'> {
  readonly queued?: QueuedPush
  readonly stopped?: StoppedStage
  readonly isLimited?: boolean
}

interface Question {
  readonly push: Push
  readonly choice: Choice
  readonly stage: Stage
  readonly staleness: Staleness
  readonly delivery: Pick<ReadDelivery, 'id' | 'isRedelivery' | 'forge' | 'isOverLimit'>
  readonly settings: PushSettings
}

async function answerTo(manager: EntityManager, question: Question): Promise<Answer> {
  const { push, choice, stage, staleness, delivery, settings } = question
  const no = (reason: string): Answer => ({ reason, deploymentId: null })
  if (choice.stops) return { ...no(choice.reason), stopped: await stopStage(manager, stage, settings) }
  if (!choice.isTaken || push.sha === null) return no(choice.reason)
  if (staleness.isStale && staleness.passedIn.includes(stage.name)) {
    return no(choice.deploys || choice.compares ? STALE : choice.reason)
  }
  const trigger = DeploymentTrigger.WEBHOOK
  const pushed = { ...push, sha: push.sha, trigger, actor: ACTORS[delivery.forge] }
  const answer = await deployOrCompare(manager, { ...question, pushed })
  // What is deployed once more on purpose says nothing of where the branch is.
  if (push.kind === 'branch' && !answer.isLimited && !delivery.isRedelivery) {
    await recordSeen(manager, stage.id, pushed)
  }
  return answer
}

async function deployOrCompare(
  manager: EntityManager,
  { choice, stage, delivery, pushed }: Question & { readonly pushed: PushedCommit },
): Promise<Answer> {
  const { deploys, reason } = choice
  // Nothing to compare it with: what the forge lists has to do.
  const compares = choice.compares && (await serves(manager, stage))
  if (!deploys && !compares) return { reason, deploymentId: null }
  const same =
    (await findInProgress(manager, stage.id, pushed)) ??
    (delivery.isRedelivery ? null : await findPolled(manager, stage.id, pushed))
  if (same) return { reason: same.reason, deploymentId: same.deployment.id }
  if (delivery.isOverLimit) return { reason: LIMITED, deploymentId: null, isLimited: true }
  if (compares) {
    await awaitComparison(manager, stage, { ...pushed, deliveryId: delivery.id })
    return { reason: COMPARING, deploymentId: null, comparison: 'pending' }
  }
  await dropComparison(manager, stage)
  const queued = await deployPush(manager, stage, pushed)
  const said = `deploys ${pushed.sha}${reason && `: ${reason}`}`
  return { reason: said, deploymentId: queued.deployment.id, queued }
}

function serves(manager: EntityManager, { id: stageId }: Stage): Promise<boolean> {
  return manager.existsBy(Deployment, { stageId, status: DeploymentStatus.RUNNING })
}
