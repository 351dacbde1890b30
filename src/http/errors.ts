import type { FastifyError, FastifyInstance, FastifyRequest } from 'fastify'
import { CommandError, type CommandErrorCode } from '../engine/errors.js'
import type { Logger } from '../logger.js'
import { shownOf } from '../resolvers/errors.js'

const STATUS: Readonly<Record<CommandErrorCode, number>> = {
  BAD_USER_INPUT: 400,
  NOT_FOUND: 404,
  CONFLICT: 409,
  QUEUE_FULL: 429,
}

/** An error in the form of whoever asked: a GraphQL response at /graphql, `{error: …}` everywhere else. */
export function errorBody(
  request: FastifyRequest,
  code: string,
  message: string,
  field: string | null = null,
) {
  if (request.url.split('?')[0] !== '/graphql') return { error: { code, message, field } }
  return { errors: [{ message, extensions: field === null ? { code } : { code, field } }] }
}

/** Answers what fails outside GraphQL. Call it before the routes, which take the handler that there is. */
export function answerErrors(app: FastifyInstance, logger: Logger): void {
  app.setNotFoundHandler((request, reply) => {
    const message = `there is nothing at ${request.method} ${request.url}`
    return reply.code(404).send(errorBody(request, 'NOT_FOUND', message))
  })
  app.setErrorHandler<FastifyError | CommandError>((error, request, reply) => {
    if (error instanceof CommandError) {
      const field = error.field === null ? null : snakeCase(error.field)
      const message = error.field === null ? error.message : error.message.replace(error.field, field ?? '')
      return reply.code(STATUS[error.code]).send(errorBody(request, error.code, message, field))
    }
    if (error.statusCode !== undefined && error.statusCode < 500) {
      return reply.code(error.statusCode).send(errorBody(request, 'BAD_USER_INPUT', error.message))
    }
    logger.error('internal error', { url: request.url, error })
    return reply.code(500).send(errorBody(request, 'INTERNAL_SERVER_ERROR', shownOf(error)))
  })
}

/** REST speaks snake case, in what it names as well; what comes after the first name, such as a key, is the user's. */
function snakeCase(field: string): string {
  return field.replace(/^[^.[]+/, (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`))
}
