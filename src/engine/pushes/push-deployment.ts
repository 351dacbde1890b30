import { type EntityManager, In } from 'typeorm'
import { DeploymentStatus, DeploymentTrigger, IN_FLIGHT_STATUSES } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import { SeenRef } from '../../entities/seen-ref.js'
import type { Stage } from '../../entities/stage.js'
import { enqueue, supersedeOldest } from '../queue/enqueue.js'
import { oneLine } from '../quoted-text.js'
import { splitRef } from '../webhooks/push.js'

/** A commit that was pushed, or found, for a stage that follows its branch or tag. */
export interface PushedCommit {
  /** `refs/heads/main` */
  readonly ref: string
  readonly sha: string
  /** Null: nobody has said it yet. */
  readonly message: string | null
  readonly trigger: DeploymentTrigger
  /** Who asks for its deployment. */
  readonly actor: string
}

export interface QueuedPush {
  readonly deployment: Deployment
  /** Ids of those that made way for it. */
  readonly superseded: readonly string[]
}

/** Queues a pushed commit for a stage whose row the caller's transaction holds. Nobody is there to push again: never refused. */
export async function deployPush(
  manager: EntityManager,
  stage: Stage,
  { ref, sha, message, trigger, actor }: PushedCommit,
): Promise<QueuedPush> {
  const { kind, name } = splitRef(ref)
  const isFound = trigger === DeploymentTrigger.POLL
  const deployment = await enqueue(manager, stage, {
    ...{ trigger, actor, ref: name, commitSha: sha },
    commitMessage: message && oneLine(message.trimStart().split(/[\r\n]/, 1)[0] ?? '', 200),
    reason: oneLine(isFound ? `the ${kind} ${name} was looked up` : `push of the ${kind} ${name}`),
  })
  return { deployment, superseded: await supersedeOldest(manager, deployment) }
}

/** A deployment that brings a commit already, and what is said of it. */
export interface SameCommit {
  readonly deployment: Deployment
  readonly reason: string
}

/** One that waits or is under way. Null: the newest of the stage brings another commit, or makes way. */
export async function findInProgress(
  manager: EntityManager,
  stageId: string,
  { sha }: Pick<PushedCommit, 'sha'>,
): Promise<SameCommit | null> {
  const newest = await manager.findOne(Deployment, {
    where: { stageId, status: In([DeploymentStatus.PENDING, ...IN_FLIGHT_STATUSES]) },
    order: { generation: 'DESC' },
  })
  const isSame =
    newest?.commitSha === sha && newest.cancelRequestedAt === null && newest.supersededBy === null
  return isSame ? { deployment: newest, reason: 'a deployment of this commit is in progress' } : null
}

/** One of a lookup that was faster than the push, of the commit that its branch was seen at last. */
export async function findPolled(
  manager: EntityManager,
  stageId: string,
  { ref, sha }: Pick<PushedCommit, 'ref' | 'sha'>,
): Promise<SameCommit | null> {
  if (!(await manager.existsBy(SeenRef, { stageId, ref, sha }))) return null
  const deployment = await manager.findOne(Deployment, {
    where: { stageId, trigger: DeploymentTrigger.POLL, commitSha: sha },
    order: { generation: 'DESC' },
  })
  return deployment && { deployment, reason: 'a lookup of the branch has found this commit before' }
}
