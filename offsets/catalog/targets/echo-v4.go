package main

import "github.com/labstack/echo/v4"

func main() {
	server := echo.New()
	server.GET("/:id", func(c echo.Context) error { return c.String(200, c.Path()) })
	println(server.Start(""))
}
