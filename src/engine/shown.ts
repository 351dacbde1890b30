import { DeploymentStatus, isSettled } from '../entities/deployment-status.js'
import type { App } from '../entities/app.js'
import { Deployment } from '../entities/deployment.js'

/** What is shown of a deployment is made of these: what it runs with, which is large, and what workers keep is not read. */
export const SHOWN_COLUMNS = [
  ...(['id', 'generation', 'appId', 'stageId', 'status', 'shownAs', 'trigger', 'actor', 'sourceId'] as const),
  ...([
    'ref',
    'commitSha',
    'commitMessage',
    'imageId',
    'image',
    'container',
    'addresses',
    'port',
    'warnings',
  ] as const),
  ...(['attempt', 'createdAt', 'startedAt', 'liveAt', 'finishedAt'] as const),
  ...(['errorCode', 'errorPhase', 'errorMessage', 'errorExitCode', 'errorLastLines'] as const),
]

/** A deployment as far as users see it; with its app where that was read before. */
export type ShownDeployment = Pick<Deployment, (typeof SHOWN_COLUMNS)[number]> & { app?: App }

/** A deployment as users see it: what a switch of traffic has changed they see when the routers have followed it. */
export function asShown<T extends ShownDeployment>(row: T): T {
  return row.shownAs === null ? row : asOf(row, row.shownAs)
}

/** The row as it was in an earlier status: what only a later one has is left out. */
export function asOf<T extends ShownDeployment>(row: T, status: DeploymentStatus): T {
  if (row.status === status) return row
  const earlier = Object.assign(new Deployment(), row, { status })
  if (!isSettled(status)) Object.assign(earlier, { finishedAt: null, liveAt: null, errorCode: null })
  if (status === DeploymentStatus.RUNNING) Object.assign(earlier, { finishedAt: null, errorCode: null })
  return earlier
}
