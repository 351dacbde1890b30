import { type Context, Fatal } from './command.js'

/** `git init --bare` */
export async function initialize({ nodegit, invocation }: Context): Promise<void> {
  await nodegit.Repository.init(invocation.operands[0] ?? '.', 1)
}

const FORMAT = '--format='
const FIELD = /%\((refname|objectname)\)/g

/** `git for-each-ref` with `%(refname)` and `%(objectname)`. */
export async function listRefs({ nodegit, invocation, open, write }: Context): Promise<void> {
  const repository = await open()
  const option = invocation.options.find((one) => one.startsWith(FORMAT))
  const format = option?.slice(FORMAT.length) ?? '%(objectname) commit\t%(refname)'
  const wanted = invocation.operands.map((prefix) => prefix.replace(/\/$/, ''))
  const isWanted = (name: string) =>
    wanted.length === 0 || wanted.some((prefix) => name === prefix || name.startsWith(`${prefix}/`))
  for (const refname of (await nodegit.Reference.list(repository)).filter(isWanted).sort()) {
    const objectname = (await nodegit.Reference.nameToId(repository, refname)).tostrS()
    const fields: Record<string, string> = { refname, objectname }
    await write(`${format.replace(FIELD, (_, field: string) => fields[field] ?? '')}\n`)
  }
}

/** `git update-ref -d` */
export async function deleteRef({ nodegit, invocation, open }: Context): Promise<void> {
  const [name = ''] = invocation.operands
  if (!invocation.options.includes('-d')) throw new Fatal('update-ref: only -d is known')
  await nodegit.Reference.remove(await open(), name)
}
