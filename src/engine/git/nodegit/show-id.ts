import type { Context } from './command.js'
import { Objects } from './objects.js'

/** `git rev-parse --verify` */
export async function showId(context: Context): Promise<void> {
  const objects = await Objects.open(context)
  const id = await objects.resolve(context.invocation.operands[0] ?? '')
  await context.write(`${id}\n`)
}

/** `git version`: shows as well that nodegit can be loaded. */
export async function showVersion({ nodegit, write }: Context): Promise<void> {
  await write(`nodegit ${nodegit.version}\n`)
}
