import type { DataSource, SelectQueryBuilder } from 'typeorm'
import type { DeploymentStatus, DeploymentTrigger } from '../entities/deployment-status.js'
import { Deployment } from '../entities/deployment.js'

/** Which deployments are listed: those that fit all that is given. */
export interface DeploymentFilter {
  readonly appId?: string | null
  /** Name of the stage. */
  readonly stage?: string | null
  readonly status?: readonly DeploymentStatus[] | null
  readonly trigger?: readonly DeploymentTrigger[] | null
  readonly ref?: string | null
  readonly since?: Date | null
}

/** As `deployment`; those of deleted apps are not there. */
export function filtered(database: DataSource, filter: DeploymentFilter): SelectQueryBuilder<Deployment> {
  const { appId, stage, status, trigger, ref, since } = filter
  const query = database
    .getRepository(Deployment)
    .createQueryBuilder('deployment')
    .innerJoin('deployment.app', 'app')
    .where('app.deletedAt IS NULL')
  if (appId) query.andWhere('deployment.appId = :appId', { appId })
  if (stage) query.innerJoin('deployment.stage', 'stage').andWhere('stage.name = :stage', { stage })
  // As it is shown: what a switch has changed is shown when the routers have followed.
  if (status) query.andWhere('coalesce(deployment.shownAs, deployment.status) = ANY(:status)', { status })
  if (trigger) query.andWhere('deployment.trigger = ANY(:trigger)', { trigger })
  if (ref) query.andWhere('deployment.ref = :ref', { ref })
  if (since) query.andWhere('deployment.createdAt >= :since', { since })
  return query
}
