import type { Context } from './command.js'
import { connect } from './connect.js'

/** `git ls-remote --symref` */
export async function listRemote(context: Context): Promise<void> {
  const { heads } = await connect(context, context.invocation.operands[0] ?? '')
  for (const head of heads) {
    const target = head.symrefTarget()
    if (target && context.invocation.options.includes('--symref')) {
      await context.write(`ref: ${target}\t${head.name()}\n`)
    }
    await context.write(`${head.oid().tostrS()}\t${head.name()}\n`)
  }
}
