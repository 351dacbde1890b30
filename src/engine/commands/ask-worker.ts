import { CommandError } from '../command-error.js'
import { createId } from '../names.js'
import {
  deleteRequest,
  insertRequest,
  type NewRefsRequest,
  readRequest,
  type RefsAnswer,
} from '../repositories/refs-requests.js'
import { ManualResetEvent } from '../wakeups/manual-reset-event.js'
import type { CommandDependencies } from './dependencies.js'

/** A wake-up that was lost is made up for after this. */
const POLL_MS = 1_000

/**
 * Asks a worker about a repository: the API may not reach its server.
 *
 * @throws CommandError NO_WORKER when none takes the question in time, QUEUE_FULL when too many are waiting; otherwise with
 * what the worker says
 */
export async function askWorker(
  { database, wakeups }: CommandDependencies,
  question: Omit<NewRefsRequest, 'id'>,
): Promise<Exclude<RefsAnswer, { error: unknown }>> {
  const id = createId()
  if (!(await insertRequest(database, { id, ...question }))) throw new CommandError('QUEUE_FULL', TOO_MANY)
  const changed = new ManualResetEvent()
  const stopListening = wakeups.on('refsAnswer', (of) => (of === id || of === '') && changed.set())
  wakeups.refsRequested(id)
  try {
    for (const until = performance.now() + question.timeoutMs; ;) {
      changed.clear()
      const state = await readRequest(database, id)
      if (state?.answer) return answerOf(state.answer)
      const leftMs = until - performance.now()
      if (leftMs <= 0 || !state) throw unanswered(state?.claimedBy ?? null, question)
      await changed.wait(Math.min(POLL_MS, leftMs))
    }
  } finally {
    stopListening()
    // A row that stays behind expires.
    await deleteRequest(database, id).catch(() => undefined)
  }
}

function answerOf(answer: RefsAnswer): Exclude<RefsAnswer, { error: unknown }> {
  if (!('error' in answer)) return answer
  throw new CommandError(answer.error.code, answer.error.message)
}

function unanswered(claimedBy: string | null, { hook }: Omit<NewRefsRequest, 'id'>): CommandError {
  if (claimedBy === null)
    return new CommandError(
      'NO_WORKER',
      'no worker takes the question: start one (ROLES=worker), or try again',
    )
  const code = hook === null ? 'CLONE_TIMEOUT' : 'FORGE_ERROR'
  return new CommandError(code, 'the worker that asks the repository does not answer: try again')
}

const TOO_MANY = 'too many repositories are being read at the moment: try again in a few seconds'
