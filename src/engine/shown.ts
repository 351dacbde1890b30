import { DeploymentStatus, isSettled } from '../entities/deployment-status.js'
import { Deployment } from '../entities/deployment.js'

/** A deployment as users see it: what a switch of traffic has changed they see when the routers have followed it. */
export function asShown(row: Deployment): Deployment {
  return row.shownAs === null ? row : asOf(row, row.shownAs)
}

/** The row as it was in an earlier status: what only a later one has is left out. */
export function asOf(row: Deployment, status: DeploymentStatus): Deployment {
  if (row.status === status) return row
  const earlier = Object.assign(new Deployment(), row, { status })
  if (!isSettled(status)) Object.assign(earlier, { finishedAt: null, liveAt: null, errorCode: null })
  if (status === DeploymentStatus.RUNNING) Object.assign(earlier, { finishedAt: null, errorCode: null })
  return earlier
}
