// Shows the API's description and lets its reader try it. It loads nothing from elsewhere, and the key that is typed in
// stays in the page.
'use strict';

const METHODS = ['get', 'post', 'put', 'delete'];

/** Makes an element. Texts are always texts, never markup. */
function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A text in which `words` between backquotes are code and **words** are strong. */
function prose(text) {
  const pieces = (text || '').split(/(`[^`]+`|\*\*[^*]+\*\*)/).filter(Boolean);
  return make('span', {}, ...pieces.map((piece) => {
    if (piece.startsWith('`')) return make('code', {}, piece.slice(1, -1));
    if (piece.startsWith('**')) return make('strong', {}, piece.slice(2, -2));
    return piece;
  }));
}

class Schemas {
  constructor(api) { this.schemas = (api.components || {}).schemas || {}; }

  resolve(schema) {
    if (!schema) return {};
    if (schema.$ref) return this.resolve(this.schemas[schema.$ref.split('/').pop()]);
    const some = (schema.oneOf || schema.anyOf || []).find((option) => option.type !== 'null');
    if (some && !schema.properties) return this.resolve(some);
    if (!schema.allOf) return schema;
    const parts = schema.allOf.map((part) => this.resolve(part));
    return {
      type: 'object',
      properties: Object.assign({}, ...parts.map((part) => part.properties)),
      required: parts.flatMap((part) => part.required || []),
    };
  }

  typeOf(schema) {
    const resolved = this.resolve(schema);
    const type = [].concat(resolved.type || 'any').filter((name) => name !== 'null').join(' or ');
    if (type === 'array') return `array of ${this.typeOf(resolved.items)}`;
    if (resolved.enum) return resolved.enum.filter((value) => value !== null).join(' | ');
    return resolved.format ? `${type} (${resolved.format})` : type;
  }

  example(schema, depth = 0) {
    const resolved = this.resolve(schema);
    if (schema && schema.example !== undefined) return schema.example;
    if (resolved.example !== undefined) return resolved.example;
    if (resolved.default !== undefined) return resolved.default;
    if (resolved.enum) return resolved.enum[0];
    const type = [].concat(resolved.type || [])[0];
    if (type === 'array') return depth > 3 ? [] : [this.example(resolved.items, depth + 1)];
    if (type === 'object') return this.requiredOnly(resolved, depth);
    if (type === 'integer' || type === 'number') return resolved.minimum || 0;
    if (type === 'boolean') return true;
    return resolved.format === 'uuid' ? '00000000-0000-0000-0000-000000000000' : '';
  }

  requiredOnly(resolved, depth) {
    const wanted = (resolved.required || []).filter((name) => (resolved.properties || {})[name]);
    return Object.fromEntries(wanted.map((name) => [name, this.example(resolved.properties[name], depth + 1)]));
  }

  /** What a property says of itself; one that may be null says it beside the type. */
  describe(schema) {
    const some = (schema.oneOf || schema.anyOf || []).find((option) => option.description);
    return schema.description || (some || {}).description || this.resolve(schema).description;
  }

  table(schema) {
    const resolved = this.resolve(schema);
    const object = resolved.type === 'array' ? this.resolve(resolved.items) : resolved;
    const rows = Object.entries(object.properties || {}).map(([name, property]) => make('tr', {},
      make('td', { className: (object.required || []).includes(name) ? 'need' : '' }, make('code', {}, name)),
      make('td', {}, this.typeOf(property)),
      make('td', {}, prose(this.describe(property)))));
    return rows.length ? make('table', {}, make('tbody', {}, ...rows)) : null;
  }
}

function bodyOf(operation) {
  return ((operation.requestBody || {}).content || {})['application/json'];
}

function answersOf(operation, schemas) {
  const rows = Object.entries(operation.responses).map(([status, answer]) => {
    const media = Object.entries(answer.content || {})[0];
    return make('tr', {},
      make('td', {}, make('code', {}, status)),
      make('td', {}, media ? schemas.typeOf(media[1].schema) : '—'),
      make('td', {}, prose(answer.description)));
  });
  const good = Object.entries(operation.responses).find(([status]) => status.startsWith('2'));
  const media = good && Object.values(good[1].content || {})[0];
  return [make('table', {}, make('tbody', {}, ...rows)), media ? details('Members of the answer', schemas.table(media.schema)) : null];
}

function details(title, ...children) {
  const shown = children.filter(Boolean);
  return shown.length ? make('details', {}, make('summary', {}, title), ...shown) : null;
}

async function send(method, path, parameters, inputs, body, output) {
  let url = path;
  const query = new URLSearchParams();
  const headers = {};
  for (const parameter of parameters) {
    const value = inputs.get(parameter.name).value;
    if (parameter.in === 'path') url = url.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (value !== '' && parameter.in === 'header') headers[parameter.name] = value;
    else if (value !== '') query.set(parameter.name, value);
  }
  if ([...query].length) url += `?${query}`;
  const pak = document.getElementById('pak').value.trim();
  if (pak) headers.Authorization = `Bearer ${pak}`;
  if (body) headers['Content-Type'] = 'application/json';
  output.textContent = 'Sending…';
  try {
    const answer = await fetch(url, { method: method.toUpperCase(), headers, body: body ? body.value : undefined });
    const text = await answer.text();
    const shown = ['link', 'warning', 'retry-after', 'x-request-id'].filter((name) => answer.headers.has(name));
    const head = shown.map((name) => `${name}: ${answer.headers.get(name)}`);
    output.textContent = [`${answer.status} ${answer.statusText}`, ...head, '', pretty(text)].join('\n');
  } catch (error) {
    output.textContent = `No answer: ${error.message}`;
  }
}

function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

function trial(method, path, operation, schemas) {
  const parameters = operation.parameters || [];
  const inputs = new Map(parameters.map((parameter) => [parameter.name, make('input', { autocomplete: 'off' })]));
  const media = bodyOf(operation);
  const body = media ? make('textarea', { rows: 6, value: JSON.stringify(schemas.example(media.schema), null, 2) }) : null;
  const output = make('pre', { ariaLive: 'polite' });
  const button = make('button', { type: 'button' }, 'Send');
  button.addEventListener('click', () => send(method, path, parameters, inputs, body, output));
  const fields = parameters.map((parameter) => make('label', {}, parameter.name, inputs.get(parameter.name)));
  return details('Try it', ...fields, body ? make('label', {}, 'Body', body) : null, button, output);
}

function show(method, path, operation, schemas) {
  const parameters = (operation.parameters || []).map((parameter) => make('tr', {},
    make('td', { className: parameter.required ? 'need' : '' }, make('code', {}, parameter.name)),
    make('td', {}, `${parameter.in}, ${schemas.typeOf(parameter.schema)}`),
    make('td', {}, prose(parameter.description))));
  const media = bodyOf(operation);
  return make('section', { id: operation.operationId },
    make('h3', {}, make('span', { className: 'method' }, method.toUpperCase()), ' ', make('code', {}, path)),
    make('p', {}, prose([operation.summary, operation.description].filter(Boolean).join(' '))),
    parameters.length ? make('table', {}, make('tbody', {}, ...parameters)) : null,
    media ? details('Body', schemas.table(media.schema)) : null,
    ...answersOf(operation, schemas),
    trial(method, path, operation, schemas));
}

async function start() {
  const api = await (await fetch('/docs/openapi.json')).json();
  const schemas = new Schemas(api);
  const main = document.getElementById('main');
  const list = document.getElementById('operations');
  main.replaceChildren(make('h2', {}, `${api.info.title} ${api.info.version}`),
    ...api.info.description.split(/\n\n+/).map((paragraph) => make('p', {}, prose(paragraph))));
  const groups = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((name) => item[name])) {
      const operation = item[method];
      main.append(show(method, path, operation, schemas));
      const tag = (operation.tags || ['other'])[0];
      if (!groups.has(tag)) groups.set(tag, make('div', {}, make('h2', {}, tag)));
      groups.get(tag).append(make('a', { href: `#${operation.operationId}` },
        make('span', { className: 'method' }, method.toUpperCase()), ' ', path.replace('/api/v1', '')));
    }
  }
  list.append(...groups.values());
  document.getElementById('filter').addEventListener('input', (event) => {
    const words = event.target.value.toLowerCase();
    list.querySelectorAll('a').forEach((link) => { link.hidden = !link.textContent.toLowerCase().includes(words); });
  });
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

start().catch((error) => {
  document.getElementById('main').textContent = `The description could not be loaded: ${error.message}`;
});
