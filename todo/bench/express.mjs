// The server that the benchmark compares with: the same routes on the same
// collection, in Express and mongoose as their guides show them. It logs
// nothing, measures nothing and drains nothing.

import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(join(process.env.TODO_NODE_MODULES, 'anything.js'));
const express = require('express');
const mongoose = require('mongoose');

const { DATABASE_URL, DATABASE_NAME, PORT } = process.env;

const Todo = mongoose.model('Todo', new mongoose.Schema({
  text: { type: String, default: '' },
  completed: { type: Boolean, default: false },
  order: Number,
}));

const app = express();
app.disable('x-powered-by');
app.use(express.json({ limit: '100kb' }));
app.use(express.urlencoded({ extended: true, limit: '100kb' }));

const whole = async () =>
  (await Todo.find().sort({ _id: 1 }).limit(1000).exec())
    .map((todo) => ({ text: todo.text, _id: todo.id, __v: 0 }));

app.get('/api/todos', async (_request, response) => response.json(await whole()));

app.post('/api/todos', async (request, response) => {
  await Todo.create({ text: request.body.text });
  response.json(await whole());
});

app.delete('/api/todos/:id', async (request, response) => {
  await Todo.deleteOne({ _id: request.params.id });
  response.json(await whole());
});

const resource = (request, todo) => ({
  id: todo.id,
  title: todo.text,
  completed: todo.completed,
  order: todo.order ?? null,
  url: `${request.protocol}://${request.get('host')}/todos/${todo.id}`,
});

const one = (request, response, todo, status = 200) => {
  if (todo) response.status(status).json(resource(request, todo));
  else response.sendStatus(404);
};

app.get('/todos', async (request, response) => {
  const todos = await Todo.find().sort({ _id: 1 }).limit(1000).exec();
  response.json(todos.map((todo) => resource(request, todo)));
});

app.post('/todos', async (request, response) => {
  const { title, completed, order } = request.body;
  one(request, response, await Todo.create({ text: title, completed, order }), 201);
});

app.get('/todos/:id', async (request, response) =>
  one(request, response, await Todo.findById(request.params.id)));

app.patch('/todos/:id', async (request, response) => {
  const { title, completed, order } = request.body;
  const change = { text: title, completed, order };
  const options = { returnDocument: 'after', omitUndefined: true };
  one(request, response, await Todo.findByIdAndUpdate(request.params.id, change, options));
});

app.delete('/todos/:id', async (request, response) => {
  const { deletedCount } = await Todo.deleteOne({ _id: request.params.id });
  response.sendStatus(deletedCount ? 204 : 404);
});

app.get('/livez', (_request, response) => response.json({ status: 'ok' }));

app.get('/readyz', async (_request, response) => {
  await mongoose.connection.db.admin().ping();
  response.json({ status: 'ok' });
});

await mongoose.connect(DATABASE_URL, {
  dbName: DATABASE_NAME,
  maxPoolSize: 16,
  writeConcern: { w: 'majority', journal: true },
});
app.listen(Number(PORT), '127.0.0.1');
