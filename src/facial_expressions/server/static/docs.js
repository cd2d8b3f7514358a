// The API's description for people, made from the OpenAPI document of the server.

import { at, make } from "./dom.js";

const plain = (text) => text.replaceAll("``", "");
const nameOf = (schema) => schema?.$ref?.split("/").at(-1);

function typeOf(schema = {}) {
  if (schema.$ref) return nameOf(schema);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map(typeOf).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type === "array") return `list of ${typeOf(schema.items ?? schema.prefixItems?.[0])}`;
  if (schema.additionalProperties) return `object of ${typeOf(schema.additionalProperties)}`;
  return schema.type ?? "any";
}

function table(heads, rows) {
  const whole = make("table", "");
  const line = (tag, cells) => {
    const row = make("tr", "");
    row.append(...cells.map((cell) => {
      const one = make(tag, "");
      one.append(cell);
      return one;
    }));
    return row;
  };
  whole.append(line("th", heads), ...rows.map((cells) => line("td", cells)));
  const scroller = make("div", "scroller");
  scroller.append(whole);
  return scroller;
}

function linkTo(schema) {
  const name = nameOf(schema) ?? nameOf(schema?.items);
  if (!name) return typeOf(schema);
  const link = make("a", "", typeOf(schema));
  link.href = `#${name}`;
  return link;
}

function exampleOf(method, path, operation) {
  const address = new URL(`.${path}`, document.baseURI).href;
  const body = operation.requestBody ? " --data-binary @photo.jpg" : "";
  return `curl${body} ${address}`;
}

function section(method, path, operation) {
  const part = make("section", "stage");
  part.id = operation.operationId;
  const title = make("h2", "");
  title.append(make("span", "method", method.toUpperCase()), ` ${path}`);
  part.append(title, make("p", "", plain(operation.description ?? operation.summary ?? "")));
  part.append(make("pre", "", exampleOf(method, path, operation)));
  if (operation.parameters?.length) {
    part.append(make("h3", "", "Parameters"), table(["name", "type", "meaning"],
      operation.parameters.map((one) => [make("code", "", one.name), typeOf(one.schema), one.description ?? ""])));
  }
  const kinds = Object.keys(operation.requestBody?.content ?? {});
  if (kinds.length) part.append(make("p", "", `Body: ${kinds.join(" or ")}`));
  part.append(make("h3", "", "Answers"), table(["status", "meaning", "body"],
    Object.entries(operation.responses).map(([status, answer]) => {
      const [kind, content] = Object.entries(answer.content ?? {})[0] ?? ["", null];
      return [status, answer.description, content?.schema ? linkTo(content.schema) : kind];
    })));
  return part;
}

function schemaSection(name, schema) {
  const part = make("section", "stage");
  part.id = name;
  const required = new Set(schema.required ?? []);
  part.append(make("h2", "", name), make("p", "", schema.description ?? ""));
  part.append(table(["name", "type", "meaning"], Object.entries(schema.properties ?? {}).map(([key, value]) =>
    [make("code", "", required.has(key) ? key : `${key}?`), linkTo(value), value.description ?? ""])));
  return part;
}

try {
  const document_ = await (await fetch("openapi.json")).json();
  at("about").textContent = document_.info.description;
  at("version").textContent = `Version ${document_.info.version}`;
  for (const [path, methods] of Object.entries(document_.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const entry = make("li", "");
      const link = make("a", "", `${method.toUpperCase()} ${path}`);
      link.href = `#${operation.operationId}`;
      entry.append(link);
      at("contents").append(entry);
      at("docs").append(section(method, path, operation));
    }
  }
  for (const [name, schema] of Object.entries(document_.components?.schemas ?? {})) {
    at("docs").append(schemaSection(name, schema));
  }
} catch {
  at("about").textContent = "The server does not answer. Is it still running?";
}
document.documentElement.dataset.ready = "true";
