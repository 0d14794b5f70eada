package main

import "github.com/gofiber/fiber/v2"

var (
	next  = (*fiber.Ctx).Next
	serve = (*fiber.App).Handler
)

func main() {
	app := fiber.New()
	app.Get("/:id", func(c *fiber.Ctx) error { return c.SendString(c.Route().Path) })
	println(app.Listen(""), &next, &serve)
}
