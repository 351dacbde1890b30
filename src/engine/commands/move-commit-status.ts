import type { EntityManager } from 'typeorm'
import { CommitStatusTarget } from '../../entities/commit-status.js'
import { movedAddress } from '../webhooks/status-target.js'

/** After the app's repository was changed: moves its commit statuses along, or stops them and says why. */
export async function moveStatusTarget(
  manager: EntityManager,
  appId: string,
  repoUrl: { readonly from: string; readonly to: string },
): Promise<void> {
  if (repoUrl.from === repoUrl.to) return
  const target = await manager.findOneBy(CommitStatusTarget, { appId })
  if (target) await manager.update(CommitStatusTarget, { appId }, movedAddress(target, repoUrl))
}
