import type { FastifyError, FastifyInstance, FastifyRequest } from 'fastify'
import { CommandError, type CommandErrorCode, type FieldError } from '../engine/command-error.js'
import type { Logger } from '../logger.js'
import { shownOf } from '../resolvers/errors.js'

const STATUS: Readonly<Record<CommandErrorCode, number>> = {
  BAD_USER_INPUT: 400,
  NOT_FOUND: 404,
  CONFLICT: 409,
  QUEUE_FULL: 429,
  NO_WORKER: 503,
  FORGE_ERROR: 502,
}
/** What was asked of a server that is not ours has failed. */
const OTHER_STATUS = 502

/** What an answer says of an error. */
export interface ErrorDetails {
  readonly code: string
  readonly message: string
  /** Of what was sent: those that are wrong. */
  readonly fields?: readonly FieldError[]
}

/** An error in the form of whoever asked: a GraphQL response at /graphql, `{error: …}` everywhere else. */
export function errorBody(request: FastifyRequest, { code, message, fields = [] }: ErrorDetails) {
  const field = fields[0]?.field ?? null
  if (request.url.split('?')[0] !== '/graphql') return { error: { code, message, field, fields } }
  return { errors: [{ message, extensions: field === null ? { code } : { code, field, fields } }] }
}

/** Answers what fails outside GraphQL. Call it before the routes, which take the handler that there is. */
export function answerErrors(app: FastifyInstance, logger: Logger): void {
  app.setNotFoundHandler((request, reply) => {
    const message = `there is nothing at ${request.method} ${request.url}`
    return reply.code(404).send(errorBody(request, { code: 'NOT_FOUND', message }))
  })
  app.setErrorHandler<FastifyError | CommandError>((error, request, reply) => {
    if (error instanceof CommandError) {
      return reply.code(statusOf(error)).send(errorBody(request, inSnakeCase(error)))
    }
    if (error.statusCode !== undefined && error.statusCode < 500) {
      return reply
        .code(error.statusCode)
        .send(errorBody(request, { code: 'BAD_USER_INPUT', message: error.message }))
    }
    logger.error('internal error', { url: request.url, error })
    const body = errorBody(request, { code: 'INTERNAL_SERVER_ERROR', message: shownOf(error) })
    return reply.code(500).send(body)
  })
}

function statusOf({ code }: CommandError): number {
  return Object.hasOwn(STATUS, code) ? STATUS[code as CommandErrorCode] : OTHER_STATUS
}

function inSnakeCase({ code, message, fields }: CommandError): ErrorDetails {
  let text = message
  const named = fields.map((one) => {
    const field = snakeCase(one.field)
    text = text.replace(`${one.field}: `, `${field}: `)
    return { ...one, field }
  })
  return { code, message: text, fields: named }
}

/** REST speaks snake case, in what it names as well; what comes after the first name, such as a key, is the user's. */
function snakeCase(field: string): string {
  return field.replace(/^[^.[]+/, (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`))
}
