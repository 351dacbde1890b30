import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Context, Fatal } from './command.js'
import { connect, type ConnectedRemote } from './connect.js'
import { Objects } from './objects.js'

const FULL_ID = /^[0-9a-f]{40}$/
/** What a server, or libgit2, says where a commit cannot be asked for by its id. */
const NO_SUCH_WANT = /not our ref|specific object|not found|no match|unadvertised/i
const ALL = ['+refs/heads/*:refs/heads/*', '+refs/tags/*:refs/tags/*']

/**
 * `git fetch` of one reference, `<url> +<ref>:<own>`. It is not shallow, whatever `--depth` says: nodegit does not have
 * libgit2's depth. What the repository has already is not received again.
 */
export async function receive(context: Context): Promise<void> {
  const [url = '', refspec = ''] = context.invocation.operands
  const [wanted = '', own = ''] = refspec.replace(/^\+/, '').split(':')
  const repository = await context.open()
  const remote = await connect(context, url, repository)
  const id = FULL_ID.test(wanted)
    ? await receiveCommit(context, remote, wanted)
    : await receiveRef(remote, wanted)
  await context.nodegit.Reference.create(repository, own, context.nodegit.Oid.fromString(id), 1, 'fetch')
  // As git does: its time says when the mirror was used last.
  await writeFile(join(context.invocation.folder, 'FETCH_HEAD'), '')
}

async function receiveRef(remote: ConnectedRemote, name: string): Promise<string> {
  const head = remote.heads.find((one) => one.name() === name)
  if (!head) throw new Fatal(`couldn't find remote ref ${name}`)
  await remote.download([`+${name}:${name}`])
  return head.oid().tostrS()
}

/** By its id, where the server lets anybody ask for one; otherwise with all that there is. */
async function receiveCommit(context: Context, remote: ConnectedRemote, id: string): Promise<string> {
  const objects = await Objects.open(context)
  if ((await objects.find(id)) !== null) return id
  const named = remote.heads.find((head) => head.oid().tostrS() === id && /^refs\//.test(head.name()))
  if (named) return receiveRef(remote, named.name())
  const missing = new Fatal(`remote error: upload-pack: not our ref ${id}`)
  try {
    await remote.download([`+${id}:refs/longshore/wanted`])
  } catch (error) {
    if (!NO_SUCH_WANT.test((error as Error).message)) throw error
    const again = await connect(context, context.invocation.operands[0] ?? '', await context.open())
    await again.download(ALL)
  }
  if ((await objects.find(id)) === null) throw missing
  return id
}
