import { type DataSource, In, IsNull } from 'typeorm'
import { App } from '../entities/app.js'
import { Deployment } from '../entities/deployment.js'
import { Stage } from '../entities/stage.js'
import { badInput } from './command-error.js'
import { asShown } from './shown.js'

export type Node = App | Stage | Deployment

const MAX_NODES = 100

/**
 * What has these ids, in their order; null where there is nothing, or where its app is deleted. Three statements, however
 * many ids there are.
 *
 * @throws CommandError BAD_USER_INPUT for more than 100 ids
 */
export async function readNodes(database: DataSource, ids: readonly string[]): Promise<(Node | null)[]> {
  if (ids.length > MAX_NODES) throw badInput('ids', `must be at most ${MAX_NODES}`)
  const id = In([...ids])
  const app = { deletedAt: IsNull() }
  const [apps, stages, deployments] = await Promise.all([
    database.getRepository(App).findBy({ id, ...app }),
    database.getRepository(Stage).findBy({ id, app }),
    database.getRepository(Deployment).findBy({ id, app }),
  ])
  const found = new Map<string, Node>(
    [...apps, ...stages, ...deployments.map(asShown)].map((node) => [node.id, node]),
  )
  return ids.map((one) => found.get(one) ?? null)
}
