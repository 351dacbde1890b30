import { useMutation } from '@apollo/client/react'
import { useState } from 'react'
import { useLocation } from 'wouter'
import { type FormErrors, NO_ERRORS, toFormErrors } from '../longshore/form-errors.js'
import type { CreateAppInput } from '../longshore/gql/graphql.js'
import { createIdempotencyKey } from '../longshore/http-link.js'
import { CREATE_APP } from '../longshore/operations.js'
import { Problem } from '../parts/answer.js'
import { Field } from '../parts/field.js'
import { Page } from '../parts/page.js'

const FIELDS = ['name', 'repoUrl', 'branch', 'contextPath', 'port', 'healthCheck.path']

export function NewAppPage() {
  const [, navigate] = useLocation()
  const [create, { loading, error }] = useMutation(CREATE_APP)
  // One key for the form: however often it is sent, it makes one app.
  const [idempotencyKey] = useState(createIdempotencyKey)
  const [rows, setRows] = useState<readonly number[]>([])
  const names = [...FIELDS, ...rows.flatMap((_, index) => partsOf(index))]
  const errors = error ? toFormErrors(error, names) : NO_ERRORS
  const submit = async (form: FormData) => {
    const { data } = await create({ variables: { input: { ...toInput(form, rows.length), idempotencyKey } } })
    const app = data?.createApp
    if (app) navigate(app.latestDeployment ? `/deployments/${app.latestDeployment.id}` : `/apps/${app.id}`)
  }
  return (
    <Page title="New app">
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault()
          void submit(new FormData(event.currentTarget)).catch(() => undefined)
        }}
      >
        <Field
          label="Name"
          name="name"
          errors={errors}
          hint="Lowercase letters, digits and hyphens; also its host."
        />
        <Field
          label="Repository"
          name="repoUrl"
          errors={errors}
          placeholder="https://git.example.com/you/shop.git"
        />
        <Field label="Branch" name="branch" errors={errors} hint="Empty: the repository’s default branch." />
        <Field label="Folder" name="contextPath" errors={errors} hint="Empty: the root of the repository." />
        <Field
          label="Port"
          name="port"
          type="number"
          errors={errors}
          hint="Empty: the port that the image exposes."
        />
        <Field
          label="Health check path"
          name="healthCheck.path"
          errors={errors}
          hint="Empty: no HTTP check."
        />
        <Variables rows={rows} setRows={setRows} errors={errors} />
        {errors.form !== null && <Problem>{errors.form}</Problem>}
        <button type="submit" disabled={loading}>
          {loading ? 'Creating…' : 'Create and deploy'}
        </button>
      </form>
    </Page>
  )
}

interface VariablesProps {
  /** A key for each row, in order. */
  readonly rows: readonly number[]
  readonly setRows: (rows: readonly number[]) => void
  readonly errors: FormErrors
}

function Variables({ rows, setRows, errors }: VariablesProps) {
  return (
    <fieldset>
      <legend>Variables</legend>
      {rows.map((row, index) => (
        <div className="pair" key={row}>
          <Field label="Key" name={`variables[${index}].key`} errors={errors} />
          <Field label="Value" name={`variables[${index}].value`} errors={errors} />
          <button
            type="button"
            className="quiet"
            aria-label={`Remove variable ${index + 1}`}
            onClick={() => setRows(rows.filter((other) => other !== row))}
          >
            ✕
          </button>
        </div>
      ))}
      <button type="button" className="quiet" onClick={() => setRows([...rows, (rows.at(-1) ?? 0) + 1])}>
        Add a variable
      </button>
    </fieldset>
  )
}

/** Fields that are empty are left out: the API has its defaults. */
function toInput(form: FormData, variableCount: number): CreateAppInput {
  const text = (name: string) => String(form.get(name) ?? '').trim()
  const optional = (name: string) => text(name) || null
  const pairs = Array.from({ length: variableCount }, (_, index) => {
    const [key, value] = partsOf(index)
    return { key: text(key), value: String(form.get(value) ?? '') }
  })
  const path = optional('healthCheck.path')
  return {
    name: text('name'),
    repoUrl: text('repoUrl'),
    branch: optional('branch'),
    contextPath: text('contextPath') || '.',
    port: text('port') === '' ? null : Number(text('port')),
    variables: pairs,
    ...(path === null ? {} : { healthCheck: { path } }),
  }
}

function partsOf(index: number): [key: string, value: string] {
  return [`variables[${index}].key`, `variables[${index}].value`]
}
