import { type EntityManager, In } from 'typeorm'
import type { App } from '../../entities/app.js'
import { DeploymentStatus, DeploymentTrigger, IN_FLIGHT_STATUSES } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import { Stage } from '../../entities/stage.js'
import {
  Forge,
  type StageDecision,
  type WebhookDelivery,
  WebhookVerdict,
} from '../../entities/webhook-delivery.js'
import { decide } from '../webhooks/decide.js'
import { STALE, type Staleness, stalenessOf, printable } from '../webhooks/delivery-log.js'
import type { ForgeEvent, Push } from '../webhooks/push.js'
import { enqueue, supersedeOldest } from '../queue/enqueue.js'

/** What a delivery meant, and the deployments that were queued for it. */
export interface Outcome {
  readonly found: Pick<
    WebhookDelivery,
    'verdict' | 'reason' | 'ref' | 'beforeSha' | 'commitSha' | 'decisions'
  >
  readonly queued: readonly Deployment[]
  /** Ids of those that made way for them. */
  readonly superseded: readonly string[]
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
export const NONE = { queued: [], superseded: [] }
const FRESH: Staleness = { isStale: false, passedIn: [] }
const NOTHING = { ref: null, beforeSha: null, commitSha: null, decisions: [] }

/** A delivery that could be read. */
export interface ReadDelivery {
  readonly event: ForgeEvent
  /** Somebody asked for it: it is deployed although later ones came before it. */
  readonly isRedelivery: boolean
  /** Who sent it. */
  readonly forge: Forge
}

/** Queues what a forge's event asks for, in the caller's transaction. */
export async function handleEvent(
  manager: EntityManager,
  app: App,
  { event, isRedelivery, forge }: ReadDelivery,
): Promise<Outcome> {
  if (event.kind === 'ping') {
    return { found: { ...NOTHING, verdict: WebhookVerdict.PONG, reason: 'the webhook works' }, ...NONE }
  }
  if (event.kind === 'other') {
    const reason = printable(`the event "${event.what.slice(0, 60)}" does not deploy`)
    return { found: { ...NOTHING, verdict: WebhookVerdict.IGNORED, reason }, ...NONE }
  }
  const stages = await lockStages(manager, app.id)
  const decisions: StageDecision[] = []
  const queued: Deployment[] = []
  const superseded: string[] = []
  for (const push of event.pushes) {
    const { isStale, passedIn } = isRedelivery ? FRESH : await stalenessOf(manager, app.id, push)
    const choices = await decide(push, rulesOf(app, stages), app.watchPaths)
    for (const { stageId, stage, deploys, reason } of choices) {
      const isPassed = isStale && passedIn.includes(stage)
      const answer =
        deploys && !isPassed
          ? await queue(manager, stages.get(stageId), { push, note: reason, forge })
          : { deployment: null, reason: deploys ? STALE : reason, isNew: false }
      if (answer.deployment && answer.isNew) {
        queued.push(answer.deployment)
        superseded.push(...(await supersedeOldest(manager, answer.deployment)))
      }
      const deploymentId = answer.deployment?.id ?? null
      const of = { ref: push.ref, before: push.before, sha: push.sha, isLate: isStale }
      decisions.push({ ...of, stage, reason: printable(answer.reason), deploymentId })
    }
  }
  return { found: { ...summaryOf(event.pushes[0], decisions), decisions }, queued, superseded }
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

interface Answer {
  readonly deployment: Deployment | null
  readonly isNew: boolean
  readonly reason: string
}

/** One that is to bring the same commit already is not doubled. */
async function queue(
  manager: EntityManager,
  stage: Stage | undefined,
  { push, note, forge }: { readonly push: Push; readonly note: string; readonly forge: Forge },
): Promise<Answer> {
  if (!stage || push.sha === null) return { deployment: null, isNew: false, reason: 'it is gone' }
  const newest = await manager.findOne(Deployment, {
    where: { stageId: stage.id, status: In([DeploymentStatus.PENDING, ...IN_FLIGHT_STATUSES]) },
    order: { generation: 'DESC' },
  })
  if (newest?.commitSha === push.sha && newest.cancelRequestedAt === null && newest.supersededBy === null) {
    return { deployment: newest, isNew: false, reason: 'a deployment of this commit is in progress' }
  }
  const deployment = await enqueue(manager, stage, {
    ...{ trigger: DeploymentTrigger.WEBHOOK, actor: ACTORS[forge] },
    ref: push.name,
    commitSha: push.sha,
    commitMessage: push.message && printable(push.message.split('\n', 1)[0] ?? '').slice(0, 200),
    reason: `push of the ${push.kind} ${push.name}`,
  })
  return { deployment, isNew: true, reason: `deploys ${push.sha}${note && `: ${note}`}` }
}

function summaryOf(push: Push | undefined, decisions: readonly StageDecision[]) {
  const about = { ref: push?.ref ?? null, beforeSha: push?.before ?? null, commitSha: push?.sha ?? null }
  const deployed = decisions.filter(({ deploymentId }) => deploymentId !== null)
  if (deployed.length > 0) {
    const stages = [...new Set(deployed.map(({ stage }) => stage))]
    const reason = `${stages.join(', ')}: ${deployed[0]?.reason ?? ''}`
    return { ...about, verdict: WebhookVerdict.DEPLOYED, reason }
  }
  const reasons = [...new Set(decisions.map(({ reason }) => reason))]
  const [only = 'no branch or tag was pushed', ...others] = reasons
  const each = decisions.map(({ stage, reason }) => `${stage}: ${reason}`).join('; ')
  const reason = printable(others.length === 0 ? only : each)
  return { ...about, verdict: WebhookVerdict.IGNORED, reason }
}
